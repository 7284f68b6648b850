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
#include <vector>

#include "absl/types/span.h"
#include "services/cache/eviction/entry_link.h"

namespace slipstream::cache {

class VoteQueues {
 public:
  static constexpr size_t kMaxRulesCount = 7;
  // Bit per rule that holds an entry. Higher bits may tell kinds of entries apart that are better
  // looked at each in its own order.
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

  // Asks `votes_of(const EntryLink&)` again for some entries, where votes change without a call of
  // Move: for the oldest of each of some lists, for some in the order of their lists, so that
  // everyone's turn comes, and for whom Evict would take.
  template <typename VotesOf>
  void Refresh(VotesOf votes_of);
  // For all entries, each once.
  template <typename VotesOf>
  void RefreshAll(VotesOf votes_of);

  // How much each rule's vote counts. REQUIRES: at most kMaxRulesCount, not negative.
  void SetWeights(absl::Span<const double> weights);

  bool empty() const { return count_ == 0; }
  size_t count() const { return count_; }
  int64_t bytes() const { return bytes_; }

 private:
  static constexpr size_t kListsCount = 1 << kMaxRulesCount;
  // What one Refresh looks at. Less, and too many stay that no rule holds any more: half as many in
  // order cost 0.1 to 0.3 points of hit ratio.
  static constexpr int kOldestPerRefresh = 16;
  static constexpr int kInOrderPerRefresh = 16;
  static constexpr int kNextPerRefresh = 16;

  // True when they are others.
  template <typename VotesOf>
  bool RefreshOne(EntryLink* link, VotesOf& votes_of) {
    const Votes votes = votes_of(*link);
    if (votes == link->tag) return false;
    Move(link, votes);
    return true;
  }
  EntryLink* Next() const;
  // The list after this one that is not empty. REQUIRES: not all are.
  size_t NextList(size_t list) const {
    do {
      list = (list + 1) % kListsCount;
    } while (lists_[list].count == 0);
    return list;
  }
  void Unlink(EntryLink* link) {
    if (link == hand_) hand_ = link->newer;
    lists_[link->tag].Unlink(link);
  }

  std::array<EntryList, kListsCount> lists_;  // by votes
  std::array<Votes, kListsCount> order_;      // least weight first
  int64_t bytes_ = 0;
  size_t count_ = 0;
  size_t oldest_list_ = 0;  // whose oldest was looked at last
  size_t hand_list_ = 0;
  EntryLink* hand_ = nullptr;  // whose turn is next; null: the oldest of the next list
};

template <typename VotesOf>
void VoteQueues::Refresh(VotesOf votes_of) {
  if (empty()) return;
  const size_t first = oldest_list_;
  for (int i = 0; i < kOldestPerRefresh; ++i) {
    oldest_list_ = NextList(oldest_list_);
    RefreshOne(lists_[oldest_list_].oldest, votes_of);
    if (oldest_list_ == first) break;
  }
  for (int i = 0; i < kInOrderPerRefresh; ++i) {
    if (hand_ == nullptr) {
      hand_list_ = NextList(hand_list_);
      hand_ = lists_[hand_list_].oldest;
    }
    EntryLink* const link = hand_;
    hand_ = link->newer;
    RefreshOne(link, votes_of);
  }
  for (int i = 0; i < kNextPerRefresh && RefreshOne(Next(), votes_of); ++i) continue;
}

template <typename VotesOf>
void VoteQueues::RefreshAll(VotesOf votes_of) {
  std::vector<EntryLink*> links;
  links.reserve(count_);
  for (const EntryList& list : lists_) {
    for (EntryLink* link = list.oldest; link != nullptr; link = link->newer) links.push_back(link);
  }
  for (EntryLink* const link : links) RefreshOne(link, votes_of);
}

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_EVICTION_VOTE_QUEUES_H_
