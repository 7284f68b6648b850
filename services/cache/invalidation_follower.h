// Applies the cache's invalidations, in the order of their offsets, to what this node holds: its
// memory, and the epochs and patterns by which values of the other tier are judged.
//
// Records come by hints that may be lost, twice or out of order; what is missing is asked for by
// NextGap. A pattern takes a walk over the memory, which Walk does while later records wait.
//
// Thread safety: all methods, from any thread; Walk by one caller at a time. Errors: a record that
// can't be read makes Broken() true: the node has to begin anew.
#ifndef SERVICES_CACHE_INVALIDATION_FOLLOWER_H_
#define SERVICES_CACHE_INVALIDATION_FOLLOWER_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libs/async/event.h"
#include "libs/sync/mutex.h"
#include "services/cache/memory_cache_store.h"
#include "services/cache/redis_entry.h"
#include "services/cache/tag_slots.h"

namespace slipstream::cache {

class InvalidationFollower {
 public:
  // Records that wait for one before them; more are read again from the log.
  static constexpr size_t kMaxWaitingCount = 4096;

  // What stays the same between two joins.
  struct Life {
    std::string generation;
    std::string node;  // this process's name in it
    uint64_t session = 0;
    TagSlots slots{0};
  };
  struct Glob {
    Offset offset = 0;
    std::shared_ptr<const EntryFilter> filter;
  };
  struct Start {
    std::string generation;
    std::string node;
    uint64_t session = 0;
    Offset offset = 0;  // everything up to it is in what follows
    std::vector<std::pair<uint32_t, Offset>> epochs;
    std::vector<Glob> globs;
  };

  // What was known when the other tier was asked. By the time of its answer a pattern may have been
  // retired, and what was read before is still under it.
  struct View {
    std::shared_ptr<const Life> life;
    std::shared_ptr<const std::vector<Glob>> globs;
  };

  // All outlive it.
  InvalidationFollower(MemoryCacheStore& memory, WatchLog& watch_log)
      : memory_(memory), watch_log_(watch_log) {}

  void SetListener(StoreListener* listener);

  // REQUIRES: the memory is empty and nothing reads from it meanwhile.
  void Begin(Start start);
  std::shared_ptr<const Life> life() const;

  // One record of a generation's log.
  void Take(std::string_view generation, Offset offset, std::string record);
  // The record of a change that this node has made. The memory's offset, from which on a copy of
  // what was stored may be taken, when nothing that came after the record has been applied; else
  // nullopt.
  std::optional<Offset> TakeOwn(const Life& life, Offset offset, std::string record);
  // Tells the listener.
  void KeyEnded(std::string_view id) { Tell({std::string(id)}); }
  // The log is known to reach to here.
  void SetHead(std::string_view generation, Offset head);

  Offset applied() const;
  // The offset to read the log from, when something is missing.
  std::optional<Offset> NextGap() const;
  bool Broken() const;
  // A pattern's walk, if one is due.
  Async<void> Walk();

  View view() const;
  // Whether a value of the other tier, asked for after `asked` was taken, may be served: of that
  // life, and not invalidated since.
  bool Alive(const RedisEntry& entry, std::string_view id, const View& asked) const;
  std::vector<Glob> globs() const;

  // Notified when something was applied or has come.
  async::Event& changed() { return changed_; }

 private:
  using Ended = std::vector<std::string>;
  void Drain(Ended* ended) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Apply(Offset offset, const Invalidation& what, Ended* ended)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Tell(const Ended& ended);
  static bool AnyMatches(const std::vector<Glob>& globs, const RedisEntry& entry,
                         std::string_view id);

  MemoryCacheStore& memory_;
  WatchLog& watch_log_;
  async::Event changed_;
  // Of offsets, by slots. A reader may see it being loaded: its session has ended then.
  EpochTable epochs_;

  mutable sync::Mutex mutex_;
  std::shared_ptr<const Life> life_ ABSL_GUARDED_BY(mutex_) = std::make_shared<const Life>();
  Offset applied_ ABSL_GUARDED_BY(mutex_) = 0;
  Offset head_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<Offset, std::string> waiting_ ABSL_GUARDED_BY(mutex_);
  std::optional<std::pair<Offset, Invalidation>> walk_ ABSL_GUARDED_BY(mutex_);
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<const std::vector<Glob>> globs_ ABSL_GUARDED_BY(mutex_) =
      std::make_shared<const std::vector<Glob>>();
  sync::Mutex listener_mutex_;
  StoreListener* listener_ ABSL_GUARDED_BY(listener_mutex_) = nullptr;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_INVALIDATION_FOLLOWER_H_
