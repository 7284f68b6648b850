// HistoryStore in this process's memory: one node, gone with the process.
//
// Every channel takes a random epoch when it comes into being, so a restart, an eviction or another
// user's cursor always shows as a foreign epoch and never as a false "nothing missed".
//
// Bounds: events per channel, their age, progress slots per channel, channels (least recently used
// goes first), bytes over all channels, known idempotency keys and acknowledgements.
// Thread safety: all methods from any thread; nothing waits. Errors: none.
#ifndef SERVICES_NOTIFICATION_MEMORY_HISTORY_STORE_H_
#define SERVICES_NOTIFICATION_MEMORY_HISTORY_STORE_H_

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "libs/clock/clock.h"
#include "libs/random/random.h"
#include "libs/sync/mutex.h"
#include "services/notification/history_store.h"

namespace slipstream::notification {

struct MemoryHistoryOptions {
  int history_events_count = 50;  // per channel
  absl::Duration history_ttl = absl::Hours(24);
  int max_channels_count = 100'000;
  int64_t max_held_bytes = 256 << 20;
  int max_progress_count = 64;  // tasks per channel
  int max_idempotency_keys_count = 200'000;
  int max_acknowledgements_count = 200'000;
};

class MemoryHistoryStore final : public HistoryStore {
 public:
  // Both outlive the store.
  MemoryHistoryStore(MemoryHistoryOptions options, const clock::Clock& clock,
                     random::Random& random);

  Async<absl::StatusOr<std::vector<Appended>>> Append(std::vector<AppendRequest> requests) override;
  Async<absl::StatusOr<std::vector<ReadResult>>> Read(std::vector<ReadRequest> requests) override;
  Async<absl::StatusOr<std::vector<int>>> Acknowledge(
      std::vector<AcknowledgeRequest> requests) override;
  void Tick() override;
  HistoryStats Stats() const override;
  std::string_view name() const override { return "memory"; }

 private:
  struct Kept {
    EventPtr event;
    absl::Duration until;
  };
  struct Progress {
    EventPtr event;
    uint64_t after_offset;  // of the kept event it followed
    uint64_t order;         // of publishing, within the channel
    absl::Duration until;
  };
  struct ChannelHistory {
    std::string key;
    uint64_t epoch = 0;
    uint64_t head = 0;
    std::deque<Kept> kept;                     // offsets head - size + 1 .. head
    std::map<std::string, Progress> progress;  // by task
    uint64_t next_progress_order = 0;
    absl::Duration touched_at;
    std::list<ChannelHistory*>::iterator used;
  };
  struct Known {
    std::string event_id;
    Position position;
  };

  Appended AppendOne(AppendRequest request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ReadResult ReadOne(const ReadRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int AcknowledgeOne(const AcknowledgeRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Finds or makes the channel, marks it as used and drops what has expired.
  ChannelHistory& Touch(const std::string& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Expire(ChannelHistory& channel) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void KeepProgress(ChannelHistory& channel, const EventPtr& event)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropProgress(ChannelHistory& channel, const std::string& task_id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PopOldest(ChannelHistory& channel) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Evict(ChannelHistory& channel) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void KeepWithinBounds(ChannelHistory& current) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remember(std::string key, Known known) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetOldKeys() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint64_t NewEpoch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const MemoryHistoryOptions options_;
  const clock::Clock& clock_;
  random::Random& random_;

  mutable sync::Mutex mutex_;
  std::unordered_map<std::string, std::unique_ptr<ChannelHistory>> channels_
      ABSL_GUARDED_BY(mutex_);
  std::list<ChannelHistory*> used_ ABSL_GUARDED_BY(mutex_);  // least recently used first
  std::unordered_map<std::string, Known> known_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::pair<absl::Duration, std::string>> known_until_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<std::string, Position> acknowledged_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::string> acknowledged_order_ ABSL_GUARDED_BY(mutex_);
  int64_t events_count_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t held_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t evicted_count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_MEMORY_HISTORY_STORE_H_
