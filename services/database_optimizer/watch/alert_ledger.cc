#include "services/database_optimizer/watch/alert_ledger.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "libs/timestamp/timestamp.h"

namespace slipstream::database_optimizer {

void AlertLedger::MakeRoom() {
  while (entries_.size() > kMaxEntriesCount) {
    entries_.erase(
        std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
          return std::pair(a.second.holds, a.second.told_at) <
                 std::pair(b.second.holds, b.second.told_at);
        }));
  }
}

std::vector<AlertChange> AlertLedger::Update(std::vector<v1::DatabaseAlert> holding,
                                             absl::Time now) {
  std::vector<AlertChange> out;
  std::set<Key> held;
  sync::MutexLock lock(mutex_);
  for (v1::DatabaseAlert& alert : holding) {
    const Key key(alert.kind(), alert.object());
    if (!held.insert(key).second) continue;
    Entry& entry = entries_[key];
    if (entry.holds) {
      *alert.mutable_raised_at() = entry.alert.raised_at();
    } else {
      *alert.mutable_raised_at() = timestamp::FromTime(now);
    }
    entry.alert = std::move(alert);
    entry.holds = true;
    const bool worse = entry.alert.severity() > entry.told_severity;
    if (now - entry.told_at < repeat_ && !worse) continue;
    out.push_back({entry.told ? AlertChange::State::kRepeated : AlertChange::State::kRaised,
                   entry.alert, now});
    entry.told = true;
    entry.told_at = now;
    entry.told_severity = entry.alert.severity();
  }
  for (auto it = entries_.begin(); it != entries_.end();) {
    Entry& entry = it->second;
    if (entry.holds && !held.contains(it->first)) {
      entry.holds = false;
      if (entry.told) out.push_back({AlertChange::State::kResolved, entry.alert, now});
      entry.told = false;
    }
    if (!entry.holds && now - entry.told_at >= repeat_) {
      it = entries_.erase(it);
    } else {
      ++it;
    }
  }
  MakeRoom();
  return out;
}

std::vector<v1::DatabaseAlert> AlertLedger::Holding() const {
  std::vector<v1::DatabaseAlert> out;
  {
    sync::MutexLock lock(mutex_);
    for (const auto& [key, entry] : entries_) {
      if (entry.holds) out.push_back(entry.alert);
    }
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    const absl::Time a_at = timestamp::ToTime(a.raised_at());
    const absl::Time b_at = timestamp::ToTime(b.raised_at());
    return std::tuple(b_at, a.kind(), a.object()) < std::tuple(a_at, b.kind(), b.object());
  });
  return out;
}

}  // namespace slipstream::database_optimizer
