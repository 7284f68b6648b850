#include "services/notification/notification_module.h"

#include <grpcpp/impl/service_type.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "libs/async/scope.h"
#include "libs/service/context.h"
#include "libs/sync/mutex.h"
#include "services/notification/notification_engine.h"
#include "services/notification/notification_metrics.h"
#include "services/notification/notification_service.h"
#include "services/notification/open_history_store.h"
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
  NotificationModule(service::Context& context, OpenedHistory history, EngineOptions options)
      : clock_(context.clock),
        history_(std::move(history)),
        engine_(options,
                {*history_.store, context.clock, context.random,
                 context.metrics.Add(kDeliverySeconds).With({}), history_.directory.get()}),
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
                             .store_name = std::string(history_.store->name())});
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

  void Stop() override {
    scope_.Close();
    // Before the store, whose client they share.
    if (history_.directory != nullptr) history_.directory->Stop();
    history_.store->Stop();
  }

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
    out.Add(kDelayedTotal, number(stats.figures.delayed_count));
    out.Add(kResumesTotal, number(stats.figures.recovered_count), {"recovered"});
    out.Add(kResumesTotal, number(stats.figures.not_recovered_count), {"not_recovered"});
    out.Add(kEvictedChannelsTotal, number(stats.history.evicted_channels_count));
    out.Add(kSubscribers, number(stats.connections_count));
    out.Add(kUsers, number(stats.users_count));
    out.Add(kLinks, number(stats.links_count));
    out.Add(kQueueBytes, number(stats.queue_bytes));
    out.Add(kDegraded, stats.degraded ? 1 : 0);
    out.Add(kHistoryBytes, number(stats.history.held_bytes));
    out.Add(kHistoryEvents, number(stats.history.events_count));
    out.Add(kHistoryChannels, number(stats.history.channels_count));
  }

  const clock::Clock& clock_;
  const OpenedHistory history_;
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
  auto history = OpenHistory(context);
  if (!history.ok()) return history.status();
  EngineOptions options;
  options.registry.max_subscribers_count = config.max_subscribers_count();
  options.registry.subscriber_queue_bytes = config.subscriber_queue_bytes();
  options.registry.user_messages_per_minute_count = config.user_messages_per_minute_count();
  options.registry.remember_users = absl::Milliseconds(config.history_ttl_ms());
  options.token_leeway = absl::Seconds(context.config.auth().leeway_s());
  auto module = std::make_unique<NotificationModule>(context, *std::move(history), options);
  if (absl::Status status = module->Init(context); !status.ok()) return status;
  return module;
}

}  // namespace slipstream::notification
