#include "tests/chaos/reader_ledger.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace slipstream::chaos {

std::string ReaderLedger::Place(Channel channel) const {
  return absl::StrCat(name_, channel == kUser ? "" : ", broadcast");
}

void ReaderLedger::OnConnect() {
  for (int c = 0; c < kChannelsCount; ++c) sure_at_connect_[c] = published_[c]->acknowledged_count;
  answered_ = false;
}

void ReaderLedger::OnSubscribed(bool with_cursor, bool recovered, bool flushed) {
  const bool first = !std::exchange(started_, true);
  const bool again = std::exchange(answered_, true);  // on an open connection
  if (!with_cursor && !again) {
    if (!first) violation_(absl::StrCat(name_, ": had no cursor to come back with"));
    return;
  }
  // The server answered somewhere between what was acknowledged before and what is begun by now.
  int64_t at_most = 0, at_least = 0;
  for (int c = 0; c < kChannelsCount; ++c) {
    at_most = std::max(at_most, published_[c]->begun_count - last_[c]);
    at_least = std::max(at_least, sure_at_connect_[c] - last_[c]);
  }
  const bool recoverable = at_most <= kKeptCount && !flushed;
  if (again) {
    if (!recovered) ++tally_.told_open_count;
  } else {
    ++tally_.resumes_count;
    if (recovered) ++tally_.recovered_count;
    if (recoverable) ++tally_.recoverable_count;
    if (recoverable && recovered) ++tally_.recoverable_recovered_count;
    if (at_least > kKeptCount) ++tally_.beyond_count;
    if (at_least > kKeptCount && recovered) ++tally_.beyond_recovered_count;
  }
  if (recovered) return;
  if (flushed) ++tally_.told_after_flush_count;
  if (recoverable) {
    violation_(absl::StrCat(name_, ": not recovered, though it has missed at most ", at_most, " (",
                            Standing(), again ? ", connected)" : ", back with its cursor)"));
  }
  may_skip_.fill(true);
}

void ReaderLedger::OnEvent(Channel channel, int64_t number) {
  ++tally_.events_count;
  int64_t& last = last_[channel];
  if (number <= last) {
    violation_(absl::StrCat(Place(channel), ": ", number, " again, after ", last));
    return;
  }
  if (number > last + 1) {
    if (may_skip_[channel]) {
      tally_.skipped_events_count += number - last - 1;
    } else {
      violation_(absl::StrCat(Place(channel), ": ", last + 1, " to ", number - 1, " are missing"));
    }
  }
  last = number;
  may_skip_[channel] = false;
}

bool ReaderLedger::Has(const std::array<int64_t, kChannelsCount>& numbers) const {
  for (int c = 0; c < kChannelsCount; ++c) {
    if (last_[c] != numbers[c] && !may_skip_[c]) return false;
  }
  return true;
}

std::string ReaderLedger::Standing() const {
  return absl::StrCat("has ", last_[kUser], " of the user's ",
                      published_[kUser]->begun_count.load(), " and ", last_[kBroadcast], " of ",
                      published_[kBroadcast]->begun_count.load(), " for everybody");
}

}  // namespace slipstream::chaos
