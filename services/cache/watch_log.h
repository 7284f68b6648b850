// The latest invalidations, for watchers: a bounded ring, under positions "epoch:offset".
//
// Thread safety: all methods, from any thread. Errors: none; a position that is not covered any
// more answers as a reset.
#ifndef SERVICES_CACHE_WATCH_LOG_H_
#define SERVICES_CACHE_WATCH_LOG_H_

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libs/async/event.h"
#include "libs/sync/mutex.h"
#include "services/cache/invalidation.h"

namespace slipstream::cache {

class WatchLog {
 public:
  static constexpr size_t kMaxKeptCount = 4096;
  // Keys and names of what is kept, together.
  static constexpr size_t kMaxKeptBytes = size_t{4} << 20;

  explicit WatchLog(std::string epoch) : epoch_(std::move(epoch)) {}

  // Under the next offset, which it answers.
  Offset Append(Invalidation what);
  // Under an offset of the store's own; one that is not above the latest is known already.
  void AppendAt(Offset offset, Invalidation what);
  // Everything before is unknown: watchers are told to reset.
  void Restart(std::string epoch, Offset offset);

  std::string Position(Offset offset) const;
  std::string Head() const;

  struct Item {
    Offset offset = 0;
    std::shared_ptr<const Invalidation> what;
  };
  struct Portion {
    bool reset = false;    // `after` is not covered: go on from `position`
    std::string position;  // after the portion
    std::string epoch;     // of the items' offsets
    std::vector<Item> items;
  };
  // What came after a position, at most `max_count`.
  Portion After(std::string_view position, size_t max_count) const;

  // Notified with each append, restart and Close.
  async::Event& changed() { return changed_; }
  // Watchers end.
  void Close();
  bool closed() const;

 private:
  void Keep(Offset offset, Invalidation what) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string PositionOf(Offset offset) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  async::Event changed_;
  mutable sync::Mutex mutex_;
  std::string epoch_ ABSL_GUARDED_BY(mutex_);
  Offset head_ ABSL_GUARDED_BY(mutex_) = 0;
  Offset floor_ ABSL_GUARDED_BY(mutex_) = 0;  // everything above it is kept
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<Item> items_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_WATCH_LOG_H_
