#include "services/cache/eviction/vote_queues.h"

#include <algorithm>
#include <numeric>

namespace slipstream::cache {

VoteQueues::VoteQueues() { std::iota(order_.begin(), order_.end(), Votes{0}); }

void VoteQueues::Insert(EntryLink* link, Votes votes) {
  link->tag = votes;
  lists_[votes].Push(link);
  bytes_ += link->weight_bytes;
  ++count_;
}

void VoteQueues::Move(EntryLink* link, Votes votes) {
  Unlink(link);
  link->tag = votes;
  lists_[votes].Push(link);
}

void VoteQueues::Remove(EntryLink* link) {
  Unlink(link);
  link->newer = link->older = nullptr;
  bytes_ -= link->weight_bytes;
  --count_;
}

void VoteQueues::Replace(EntryLink* link, EntryLink* next) {
  next->tag = link->tag;
  bytes_ += int64_t{next->weight_bytes} - int64_t{link->weight_bytes};
  if (link == hand_) hand_ = next;
  lists_[link->tag].Replace(link, next);
}

EntryLink* VoteQueues::Next() const {
  const auto votes =
      std::find_if(order_.begin(), order_.end(), [&](Votes v) { return lists_[v].count > 0; });
  return lists_[*votes].oldest;
}

EntryLink* VoteQueues::Evict() {
  EntryLink* const link = Next();
  Remove(link);
  return link;
}

void VoteQueues::SetWeights(absl::Span<const double> weights) {
  std::array<double, kListsCount> sums{};
  for (size_t votes = 0; votes < kListsCount; ++votes) {
    for (size_t rule = 0; rule < weights.size(); ++rule) {
      if (votes >> rule & 1) sums[votes] += weights[rule];
    }
  }
  std::sort(order_.begin(), order_.end(),
            [&](Votes a, Votes b) { return sums[a] != sums[b] ? sums[a] < sums[b] : a < b; });
}

}  // namespace slipstream::cache
