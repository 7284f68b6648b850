// The notification service's logic: publish with history, subscribe with resume, presence, figures,
// drain. Links no gRPC.
//
// The promise to a subscriber: events of one channel arrive in the order of their positions, each
// once, from its cursor on without a gap; or its `subscribed` says recovered = false. task_progress
// has no position: only the latest of each task counts, and after a resume it may come once more.
//
// Thread safety: all methods from any thread; one lock, held for no longer than one fan-out.
// Errors: UNAVAILABLE (DRAINING; the store's), RESOURCE_EXHAUSTED (TOO_MANY_SUBSCRIBERS,
// TOO_MANY_CONNECTIONS, PUBLISH_QUEUE_FULL), ALREADY_EXISTS (SUBSCRIBER_ID_IN_USE).
#ifndef SERVICES_NOTIFICATION_NOTIFICATION_ENGINE_H_
#define SERVICES_NOTIFICATION_NOTIFICATION_ENGINE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/async/async.h"
#include "libs/clock/clock.h"
#include "libs/metrics/registry.h"
#include "libs/random/random.h"
#include "libs/sync/mutex.h"
#include "services/notification/history_store.h"
#include "services/notification/link.h"
#include "services/notification/presence_directory.h"
#include "services/notification/publish_queue.h"
#include "services/notification/subscriber_registry.h"

namespace slipstream::notification {

struct EngineOptions {
  RegistryOptions registry;
  // How long after its `exp` a token still counts, as in its verification: a subscriber that is
  // ended could otherwise come straight back with the same token.
  absl::Duration token_leeway = absl::Seconds(60);
};

struct EngineStats {
  absl::Time since;
  Figures figures;
  int64_t connections_count = 0;
  int64_t users_count = 0;
  int64_t links_count = 0;
  int64_t queue_bytes = 0;
  HistoryStats history;
  bool degraded = false;
  absl::Duration delivery_p50;
  absl::Duration delivery_p99;
};

class NotificationEngine final : private HistoryListener {
 public:
  struct Deps {
    HistoryStore& store;
    const clock::Clock& clock;
    random::Random& random;
    metrics::Histogram delivery_seconds = {};  // publish to hand-over
    // Who is connected to the other nodes; null: there are none. Outlives the engine.
    PresenceDirectory* directory = nullptr;
  };

  NotificationEngine(EngineOptions options, Deps deps);
  ~NotificationEngine() override;

  // One result per event, in order. REQUIRES: 1 to PublishQueue::kMaxBatchCount events.
  Async<absl::StatusOr<std::vector<Appended>>> Publish(std::vector<AppendRequest> events);

  // A link lives from OpenLink to CloseLink; its owner takes messages in between and ends when the
  // link has ended and nothing is left to take. UNAVAILABLE while draining.
  absl::StatusOr<std::shared_ptr<Link>> OpenLink(LinkOptions options);
  void CloseLink(const std::shared_ptr<Link>& link);
  std::vector<LinkMessage> Take(const std::shared_ptr<Link>& link, size_t max_count);

  // OK: `subscribed` is on the link, or the subscriber is gone again. The same in two steps, for
  // many subscribers of a link at a time: Join misses no event from then on and does not wait,
  // Replay reads the history and then sends both.
  Async<absl::Status> Subscribe(std::shared_ptr<Link> link, SubscriberSpec spec);
  absl::Status Join(const std::shared_ptr<Link>& link, const SubscriberSpec& spec);
  Async<absl::Status> Replay(std::shared_ptr<Link> link, SubscriberSpec spec);
  void Unsubscribe(const std::shared_ptr<Link>& link, uint64_t id);
  // Tells the link that a subscriber has ended, or could not begin.
  void Close(const std::shared_ptr<Link>& link, uint64_t id, CloseReason reason,
             std::string message);
  void AddCredit(const std::shared_ptr<Link>& link, const std::vector<uint64_t>& ids,
                 int64_t count);
  // False when the new token is of somebody else.
  bool Refresh(const std::shared_ptr<Link>& link, uint64_t id, const std::string& user,
               const std::string& tenant, absl::Time token_expires_at);

  // Answers how many kept events of the user's own channel are not acknowledged.
  Async<absl::StatusOr<int>> Acknowledge(std::string user, std::string tenant, Cursor cursor);

  // One per user, in order: over all nodes, or of this one while the directory does not answer.
  Async<std::vector<UserPresence>> FindPresence(std::vector<std::string> users);
  // At most one of the two is given: the figures of that user or tenant on this node.
  EngineStats Stats(const std::string& user, const std::string& tenant);

  // About ten times a second.
  void Tick();
  // From now on no new links; the open ones end over the window, each told where to resume.
  void BeginDrain(absl::Duration window);
  bool draining() const;
  bool drained() const;

 private:
  UserPresence PresenceHere(const std::string& user);
  void OnPublished(const Appended& appended);
  void OnEvents(const std::vector<EventPtr>& events) override;
  void OnContinued(const Channel& channel, const ReadResult& read) override;
  void OnLost(const Channel& channel, const ReadResult& read) override;
  void EndLink(const std::shared_ptr<Link>& link) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const EngineOptions options_;
  const Deps deps_;
  const absl::Time since_;
  PublishQueue publish_queue_;

  mutable sync::Mutex mutex_;
  SubscriberRegistry registry_ ABSL_GUARDED_BY(mutex_);
  LatencyHistogram latency_ ABSL_GUARDED_BY(mutex_);
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Duration next_housekeeping_ ABSL_GUARDED_BY(mutex_);
  // While draining: when each link ends.
  std::vector<std::pair<absl::Duration, std::shared_ptr<Link>>> ending_ ABSL_GUARDED_BY(mutex_);
};

// The subscriber of a link that has only one (Subscribe).
inline constexpr uint64_t kOnlySubscriber = 1;

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_NOTIFICATION_ENGINE_H_
