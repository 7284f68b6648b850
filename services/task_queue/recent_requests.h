// RecentRequests: which request ids were submitted here lately, so that a store that can't be asked
// for them is not taken for one that does not know them.
//
// Bounded: the last kMaxCount at least, twice as many at most. By hash, so one in 10^14 is taken
// for another.
//
// Thread safety: none of its own.
#ifndef SERVICES_TASK_QUEUE_RECENT_REQUESTS_H_
#define SERVICES_TASK_QUEUE_RECENT_REQUESTS_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

namespace slipstream::task_queue {

class RecentRequests {
 public:
  static constexpr size_t kMaxCount = 100'000;

  void Add(std::string_view key) {
    newer_.insert(std::hash<std::string_view>()(key));
    if (newer_.size() >= kMaxCount) older_ = std::exchange(newer_, {});
  }
  bool Contains(std::string_view key) const {
    const size_t hash = std::hash<std::string_view>()(key);
    return newer_.contains(hash) || older_.contains(hash);
  }

 private:
  std::unordered_set<size_t> newer_, older_;
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_RECENT_REQUESTS_H_
