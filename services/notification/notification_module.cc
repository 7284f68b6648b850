#include "services/notification/notification_module.h"

#include <grpcpp/impl/service_type.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "libs/async/scope.h"
#include "libs/service/context.h"
#include "libs/status/status.h"
#include "libs/sync/mutex.h"
#include "services/notification/memory_history_store.h"
#include "services/notification/notification_engine.h"
#include "services/notification/notification_metrics.h"
#include "services/notification/notification_service.h"
#include "slipstream/config/v1/config.pb.h"

namespace slipstream::notification {

namespace {

constexpr absl::Duration kTickInterval = absl::Milliseconds(100);
constexpr absl::Duration kDrainTickInterval = absl::Milliseconds(10);
// Readers are sent away over this time at most, and over no more than a quarter of the grace: the
// other services of the process need theirs too.
constexpr absl::Duration kMaxDrainWindow = absl::Seconds(2);

std::string NodeName() {
  char host[256] = {};
  if (gethostname(host, sizeof(host) - 1) != 0) return "notification";
  return std::string(host) + "/" + std::to_string(getpid());
}

class NotificationModule final : public service::Module {
 public:
  NotificationModule(service::Context& context, std::unique_ptr<HistoryStore> store,
                     EngineOptions options)
      : clock_(context.clock),
        store_(std::move(store)),
        engine_(options, {*store_, context.clock, context.random,
                          context.metrics.Add(kDeliverySeconds).With({})}),
        scope_(context.runtime.executor()) {}

  absl::Status Init(service::Context& context) {
    auto service = MakeNotificationService(
        context.dispatcher, {.streams = {.engine = engine_,
                                         .authenticator = context.authenticator,
                                         .permissions = context.permissions,
                                         .node_name = NodeName(),
                                         .max_subscribers_count =
                                             context.config.notification().max_subscribers_count()},
                             .clock = context.clock,
                             .random = context.random,
                             .store_name = std::string(store_->name())});
    if (!service.ok()) return service.status();
    service_ = *std::move(service);
    figures_ = context.metrics.AddCollector([this](metrics::Samples& out) { Collect(out); });
    return absl::OkStatus();
  }

  std::vector<grpc::Service*> Services() override { return {service_.get()}; }

  std::vector<service::ReadinessCheck> ReadinessChecks() override {
    return {{"notification", [this] {
               return engine_.draining() ? absl::UnavailableError("draining") : absl::OkStatus();
             }}};
  }

  absl::Status Start() override {
    scope_.Spawn([this]() -> Async<void> {
      while (co_await scope_.SleepFor(kTickInterval)) engine_.Tick();
    });
    return absl::OkStatus();
  }

  void Drain(absl::Time deadline) override {
    const absl::Duration left = std::max(deadline - clock_.Now(), absl::ZeroDuration());
    engine_.BeginDrain(std::min(kMaxDrainWindow, left / 4));
    scope_.Spawn([this]() -> Async<void> {
      do {
        engine_.Tick();
      } while (!engine_.drained() && co_await scope_.SleepFor(kDrainTickInterval));
      sync::MutexLock lock(mutex_);
      drained_ = true;
      drained_changed_.SignalAll();
    });
    sync::MutexLock lock(mutex_);
    while (!drained_ && clock_.Now() < deadline) {
      (void)drained_changed_.WaitFor(mutex_, deadline - clock_.Now());
    }
  }

  void Stop() override { scope_.Close(); }

 private:
  void Collect(metrics::Samples& out) {
    const EngineStats stats = engine_.Stats("", "");
    const auto number = [](int64_t value) { return static_cast<double>(value); };
    for (size_t i = 0; i < kEventTypeCount; ++i) {
      out.Add(kPublishedTotal, number(stats.figures.published[i]),
              {EventTypeName(static_cast<EventType>(i))});
    }
    for (size_t i = 0; i < kCloseReasonCount; ++i) {
      out.Add(kClosesTotal, number(stats.figures.closes[i]),
              {CloseReasonName(static_cast<CloseReason>(i))});
    }
    out.Add(kDuplicatesTotal, number(stats.figures.duplicates_count));
    out.Add(kDeliveredTotal, number(stats.figures.delivered_count));
    out.Add(kConflatedTotal, number(stats.figures.conflated_count));
    out.Add(kResumesTotal, number(stats.figures.recovered_count), {"recovered"});
    out.Add(kResumesTotal, number(stats.figures.not_recovered_count), {"not_recovered"});
    out.Add(kEvictedChannelsTotal, number(stats.history.evicted_channels_count));
    out.Add(kSubscribers, number(stats.connections_count));
    out.Add(kUsers, number(stats.users_count));
    out.Add(kLinks, number(stats.links_count));
    out.Add(kQueueBytes, number(stats.queue_bytes));
    out.Add(kHistoryBytes, number(stats.history.held_bytes));
    out.Add(kHistoryEvents, number(stats.history.events_count));
    out.Add(kHistoryChannels, number(stats.history.channels_count));
  }

  const clock::Clock& clock_;
  const std::unique_ptr<HistoryStore> store_;
  NotificationEngine engine_;
  std::unique_ptr<grpc::Service> service_;
  metrics::Registry::Registration figures_;
  async::Scope scope_;

  sync::Mutex mutex_;
  sync::CondVar drained_changed_;
  bool drained_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<service::Module>> MakeNotificationModule(service::Context& context) {
  const config::v1::NotificationConfig& config = context.config.notification();
  if (!config.redis_url().empty()) {
    return status::Error(absl::StatusCode::kFailedPrecondition, "STORE_NOT_BUILT",
                         "notification.redis_url is set, but this binary has the memory store "
                         "only; remove the setting to keep the history in memory");
  }
  const absl::Duration history_ttl = absl::Milliseconds(config.history_ttl_ms());
  auto store = std::make_unique<MemoryHistoryStore>(
      MemoryHistoryOptions{.history_events_count = config.history_events_count(),
                           .history_ttl = history_ttl},
      context.clock, context.random);
  EngineOptions options;
  options.registry.max_subscribers_count = config.max_subscribers_count();
  options.registry.subscriber_queue_bytes = config.subscriber_queue_bytes();
  options.registry.remember_users = history_ttl;
  options.token_leeway = absl::Seconds(context.config.auth().leeway_s());
  auto module = std::make_unique<NotificationModule>(context, std::move(store), options);
  if (absl::Status status = module->Init(context); !status.ok()) return status;
  return module;
}

}  // namespace slipstream::notification
