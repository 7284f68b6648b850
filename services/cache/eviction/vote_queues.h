// Entries by which rules would hold them, and the eviction of those that the rules with the best
// record hold least: an entry stays as long as the best rule holds it, and among the others the
// next best decide. So a change of the best rule finds most of what it wants still here.
//
// All methods take constant time.
//
// Thread safety: none.
#ifndef SERVICES_CACHE_EVICTION_VOTE_QUEUES_H_
#define SERVICES_CACHE_EVICTION_VOTE_QUEUES_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "services/cache/eviction/entry_link.h"

namespace slipstream::cache {

class VoteQueues {
 public:
  static constexpr size_t kMaxRulesCount = 7;
  // Bit per rule that holds an entry.
  using Votes = uint8_t;

  VoteQueues();
  VoteQueues(const VoteQueues&) = delete;
  VoteQueues& operator=(const VoteQueues&) = delete;

  void Insert(EntryLink* link, Votes votes);
  void Move(EntryLink* link, Votes votes);
  // It was read: the last of those with the same votes to go.
  void Touch(EntryLink* link) { Move(link, link->tag); }
  void Remove(EntryLink* link);
  void Replace(EntryLink* link, EntryLink* next);
  // Takes out whom to evict. REQUIRES: not empty.
  EntryLink* Evict();

  // How much each rule's vote counts. REQUIRES: at most kMaxRulesCount, not negative.
  void SetWeights(absl::Span<const double> weights);

  bool empty() const { return count_ == 0; }
  size_t count() const { return count_; }
  int64_t bytes() const { return bytes_; }

 private:
  static constexpr size_t kListsCount = 1 << kMaxRulesCount;

  std::array<EntryList, kListsCount> lists_;  // by votes
  std::array<Votes, kListsCount> order_;      // least weight first
  int64_t bytes_ = 0;
  size_t count_ = 0;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_EVICTION_VOTE_QUEUES_H_
