#include "services/task_queue/task_queue_module.h"

#include <algorithm>
#include <future>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/async/deadline.h"
#include "libs/async/scope.h"
#include "libs/page_token/page_token.h"
#include "libs/service/context.h"
#include "libs/status/status.h"
#include "services/task_queue/args_cipher.h"
#include "services/task_queue/artifact/artifact_service.h"
#include "services/task_queue/artifact/folder_artifact_store.h"
#include "services/task_queue/budget/budget_service.h"
#include "services/task_queue/notification_publisher.h"
#include "services/task_queue/open_task_store.h"
#include "services/task_queue/outbox_forwarder.h"
#include "services/task_queue/schedule/schedule_service.h"
#include "services/task_queue/shared_task_types.h"
#include "services/task_queue/task_queue_metrics.h"
#include "services/task_queue/task_queue_service.h"
#include "services/task_queue/webhook/webhook_service.h"
#include "services/task_queue/worker_service.h"
#include "slipstream/config/v1/config.pb.h"

namespace slipstream::task_queue {

namespace {

constexpr absl::Duration kTickPeriod = absl::Milliseconds(50);
constexpr int kMaxTicksInARow = 100;
constexpr int kMaxTickSlowdown = 5;                     // while the store is away
constexpr absl::Duration kLoopPoll = absl::Seconds(1);  // a signal may come from another server
constexpr absl::Duration kLookPause = absl::Milliseconds(1);
constexpr int kWorthwhileCount = 64;
constexpr absl::Duration kSamplePeriod = absl::Seconds(1);
constexpr absl::Duration kArtifactSweepPeriod = absl::Minutes(10);
constexpr absl::Duration kDrainPoll = absl::Milliseconds(20);
// Acks and events that are on their way when the last worker is done.
constexpr absl::Duration kLastWords = absl::Milliseconds(250);
constexpr size_t kPageTokenSecretBytes = 32;

WorkerTimes TimesOf(const config::v1::TaskQueueConfig& config) {
  return {absl::Milliseconds(config.lease_ms()), absl::Milliseconds(config.heartbeat_interval_ms()),
          absl::Milliseconds(config.session_grace_ms())};
}

SubmitLimits LimitsOf(const config::v1::TaskQueueConfig& config) {
  SubmitLimits limits;
  limits.max_args_bytes = config.max_args_bytes();
  limits.default_max_attempts = config.default_max_attempts_count();
  limits.default_result_ttl = absl::Milliseconds(config.result_ttl_ms());
  return limits;
}

absl::StatusOr<std::unique_ptr<ArgsCipher>> OpenArgsCipher(
    const config::v1::TaskQueueConfig& config, bool durable, random::Random& random) {
  if (!config.sensitive_args_key().empty() || !config.sensitive_args_old_key().empty()) {
    return ArgsCipher::Create(config.sensitive_args_key(), config.sensitive_args_old_key(), random);
  }
  if (durable) return nullptr;
  return ArgsCipher::CreateForMemory(random);
}

artifact::ArtifactLimits LimitsOf(const config::v1::ArtifactConfig& config) {
  return {config.max_artifact_bytes(), config.max_user_bytes(),
          absl::Milliseconds(config.ttl_ms())};
}

// What is needed before anything else and can fail.
struct Opened {
  std::unique_ptr<TaskStore> store;
  std::unique_ptr<ArgsCipher> args_cipher;  // null: tasks with sensitive arguments are refused
  std::unique_ptr<artifact::BlockingPool> files;
  std::unique_ptr<artifact::FolderArtifactStore> artifacts;
  page_token::PageTokens page_tokens;
  rpc::MethodTable queue, worker, artifact, budget, schedule, webhook;
};

class TaskQueueModule final : public service::Module {
 public:
  TaskQueueModule(service::Context& context, Opened opened);

  std::vector<grpc::Service*> Services() override {
    return {&service_, &worker_service_, &artifact_service_, &budget_, &schedule_, &webhook_};
  }
  absl::Status Start() override;
  void Drain(absl::Time deadline) override;
  void Stop() override;

 private:
  Async<void> DispatchLoop();
  Async<void> TickLoop();
  Async<void> OutboxLoop(OutboxForwarder& forwarder);
  Async<void> TypesLoop();
  Async<void> ArtifactLoop();
  Async<void> SampleLoop();
  Async<void> WaitUntilIdle(absl::Time deadline);
  void Collect(metrics::Samples& samples);

  const clock::Clock& clock_;
  const logging::Logger logger_;
  const QueueSeries series_;
  const std::unique_ptr<TaskStore> owned_store_;
  TaskStore& store_;
  const std::unique_ptr<ArgsCipher> args_cipher_;
  TaskTypeRegistry registry_;
  QueueFigures figures_;
  TaskSignals signals_;
  SharedTaskTypes shared_types_;
  WorkerSessions sessions_;
  TaskQueueEngine engine_;
  NotificationPublisher publisher_;
  std::vector<std::unique_ptr<OutboxForwarder>> forwarders_;  // one for each part of the outbox
  const std::unique_ptr<artifact::BlockingPool> files_;
  const std::unique_ptr<artifact::FolderArtifactStore> artifacts_;
  artifact::ArtifactEngine artifact_engine_;
  TaskQueueService service_;
  WorkerService worker_service_;
  artifact::ArtifactService artifact_service_;
  budget::BudgetService budget_;
  schedule::ScheduleService schedule_;
  webhook::WebhookService webhook_;

  sync::Mutex sample_mu_;
  StoreStats sample_ ABSL_GUARDED_BY(sample_mu_);
  int64_t outbox_dropped_seen_ = 0;
  metrics::Registry::Registration collector_;
  async::Scope scope_;  // last: its coroutines use all of the above
};

TaskQueueModule::TaskQueueModule(service::Context& context, Opened opened)
    : clock_(context.clock),
      logger_(context.logger.With({{"component", "task_queue"}})),
      series_(context.metrics),
      owned_store_(std::move(opened.store)),
      store_(*owned_store_),
      args_cipher_(std::move(opened.args_cipher)),
      figures_(series_, context.clock.Now()),
      shared_types_({store_, clock_, registry_, logger_}),
      sessions_({store_, clock_, context.random, registry_, figures_, signals_, logger_,
                 args_cipher_.get(), &shared_types_},
                TimesOf(context.config.task_queue())),
      engine_({store_, clock_, context.random, registry_, figures_, signals_, sessions_,
               &shared_types_, random::Uuid7(context.clock, context.random), args_cipher_.get()},
              LimitsOf(context.config.task_queue())),
      publisher_(context.peers),
      files_(std::move(opened.files)),
      artifacts_(std::move(opened.artifacts)),
      artifact_engine_({*artifacts_, clock_, context.random, ArtifactSeries(context.metrics)},
                       LimitsOf(context.config.task_queue().artifact())),
      service_({context.dispatcher, context.permissions, clock_, engine_, registry_, sessions_,
                signals_, opened.page_tokens, store_.durable()},
               std::move(opened.queue)),
      worker_service_(
          {context.dispatcher, sessions_, signals_, context.random,
           TimesOf(context.config.task_queue()), context.config.task_queue().max_result_bytes()},
          std::move(opened.worker)),
      artifact_service_(
          {context.dispatcher, context.permissions, artifact_engine_, opened.page_tokens},
          std::move(opened.artifact)),
      budget_(context.dispatcher, std::move(opened.budget)),
      schedule_(context.dispatcher, std::move(opened.schedule)),
      webhook_(context.dispatcher, std::move(opened.webhook)),
      collector_(context.metrics.AddCollector([this](metrics::Samples& s) { Collect(s); })),
      scope_(context.runtime.executor()) {
  for (int part = 0; part < store_.outbox_part_count(); ++part) {
    forwarders_.push_back(std::make_unique<OutboxForwarder>(
        OutboxForwarder::Deps{store_, publisher_, context.random, series_, logger_}, part));
  }
}

absl::Status TaskQueueModule::Start() {
  if (artifacts_->orphans_at_start_count() > 0) {
    logger_.Warning("removed what uploads broken off by a crash had left",
                    {{"files", artifacts_->orphans_at_start_count()}});
  }
  scope_.Spawn([this] { return DispatchLoop(); });
  scope_.Spawn([this] { return TickLoop(); });
  for (const auto& forwarder : forwarders_) {
    scope_.Spawn([this, one = forwarder.get()] { return OutboxLoop(*one); });
  }
  scope_.Spawn([this] { return TypesLoop(); });
  store_.SetListener(&engine_);
  scope_.Spawn([this] { return ArtifactLoop(); });
  scope_.Spawn([this] { return SampleLoop(); });
  if (!store_.durable()) {
    logger_.Warning("tasks are kept in memory: they end with this process",
                    {{"store", store_.name()}});
  }
  return absl::OkStatus();
}

// --- loops

Async<void> TaskQueueModule::DispatchLoop() {
  while (!scope_.stop_requested()) {
    // Read before the look, so that work which comes during it is not slept over.
    const uint64_t seen = signals_.work().version();
    const int given_count = co_await sessions_.Dispatch();
    if (scope_.stop_requested()) break;
    // Every submit and every report asks for a look. One that found little is not repeated at once,
    // so that the next finds more: a look for each task would cost more than the tasks.
    if (given_count < kWorthwhileCount && !co_await scope_.SleepFor(kLookPause)) break;
    co_await signals_.work().Wait(seen, async::After(kLoopPoll));
  }
}

Async<void> TaskQueueModule::TickLoop() {
  int failures_count = 0;
  while (co_await scope_.SleepFor(kTickPeriod * std::min(failures_count + 1, kMaxTickSlowdown))) {
    for (int i = 0; i < kMaxTicksInARow; ++i) {
      const auto more = co_await engine_.Tick();
      failures_count = more.ok() ? 0 : failures_count + 1;
      // The first failure and then ever fewer: an outage is one story.
      if (failures_count > 0 && (failures_count & (failures_count - 1)) == 0) {
        logger_.Warning("sweep failed; it is tried again",
                        {{"error", more.status()}, {"failures", failures_count}});
      }
      if (!more.ok() || !*more) break;
    }
  }
}

Async<void> TaskQueueModule::OutboxLoop(OutboxForwarder& forwarder) {
  while (!scope_.stop_requested()) {
    const uint64_t seen = signals_.outbox().version();
    const auto step = co_await forwarder.Step();
    if (step.delivered_count > 0) continue;
    if (step.wait > absl::ZeroDuration()) {
      co_await scope_.SleepFor(step.wait);
    } else if (!scope_.stop_requested()) {
      co_await signals_.outbox().Wait(seen, async::After(kLoopPoll));
    }
  }
}

Async<void> TaskQueueModule::TypesLoop() {
  do {
    const absl::Status loaded = co_await shared_types_.Load();
    if (!loaded.ok()) logger_.Warning("task types not read", {{"error", loaded}});
  } while (co_await scope_.SleepFor(SharedTaskTypes::kReloadPeriod));
}

Async<void> TaskQueueModule::ArtifactLoop() {
  do {
    bool more = true;
    while (more && !scope_.stop_requested()) {
      const auto swept = co_await artifact_engine_.Sweep(false);
      if (!swept.ok()) logger_.Warning("artifacts not swept", {{"error", swept.status()}});
      more = swept.ok() && swept->more;
    }
  } while (co_await scope_.SleepFor(kArtifactSweepPeriod));
}

// A scrape must not wait for a store, so it reads what this loop has last seen.
Async<void> TaskQueueModule::SampleLoop() {
  do {
    // A store that is away is told of by the tick.
    (co_await engine_.ShareFigures()).IgnoreError();
    auto stats = co_await store_.Stats();
    if (!stats.ok()) continue;
    const int64_t dropped = stats->outbox_dropped_count - outbox_dropped_seen_;
    if (dropped > 0) {
      series_.outbox_dropped.Increment(static_cast<uint64_t>(dropped));
      logger_.Error("the outbox was full; the oldest events were dropped", {{"events", dropped}});
      outbox_dropped_seen_ += dropped;
    }
    sync::MutexLock lock(sample_mu_);
    sample_ = *std::move(stats);
  } while (co_await scope_.SleepFor(kSamplePeriod));
}

void TaskQueueModule::Collect(metrics::Samples& samples) {
  StoreStats stats;
  {
    sync::MutexLock lock(sample_mu_);
    stats = sample_;
  }
  absl::Time oldest = absl::InfiniteFuture();
  for (const auto& depth : stats.depths) oldest = std::min(oldest, depth.oldest_ready_at);
  for (int status = 1; status < kTaskStatusCount; ++status) {
    samples.Add(kTasks, static_cast<double>(stats.by_status[static_cast<size_t>(status)]),
                {StatusName(static_cast<TaskStatus>(status))});
  }
  const bool waits = oldest != absl::InfiniteFuture();
  samples.Add(kOldestWait, waits ? std::max(0.0, absl::ToDoubleSeconds(clock_.Now() - oldest)) : 0);
  samples.Add(kHeldBytes, static_cast<double>(stats.held_bytes));
  samples.Add(kNotDurable, static_cast<double>(stats.not_durable_count));
  samples.Add(kOutbox, static_cast<double>(stats.outbox_count));
  samples.Add(kWorkers, sessions_.connected_count());
  samples.Add(kSlots, sessions_.held_count(), {"held"});
  samples.Add(kSlots, sessions_.free_count(), {"free"});
  samples.Add(kArtifactsHeldBytes, static_cast<double>(artifacts_->held_bytes()));
}

// --- the end

Async<void> TaskQueueModule::WaitUntilIdle(absl::Time deadline) {
  absl::Time idle_since = absl::InfiniteFuture();
  while (clock_.Now() < deadline) {
    const uint64_t seen = signals_.outbox().version();
    auto stats = co_await store_.Stats();
    const bool delivered = !stats.ok() || stats->outbox_count == 0;
    // What a durable store has in memory for now may still come to it.
    const bool moved = !stats.ok() || stats->not_durable_count == 0;
    const bool idle = sessions_.held_count() == 0 && moved;
    if (!idle) idle_since = absl::InfiniteFuture();
    if (idle) idle_since = std::min(idle_since, clock_.Now());
    if (stats.ok()) {
      sync::MutexLock lock(sample_mu_);
      sample_ = *std::move(stats);
    }
    if (idle && sessions_.connected_count() == 0 && delivered) co_return;
    // Workers that stay connected with nothing to do, or events that nobody takes, do not hold the
    // process up.
    if (idle && clock_.Now() - idle_since >= kLastWords) co_return;
    co_await signals_.outbox().Wait(seen, async::After(kDrainPoll));
  }
}

void TaskQueueModule::Drain(absl::Time deadline) {
  engine_.BeginDrain();
  sessions_.BeginDrain(std::max(deadline - clock_.Now(), absl::ZeroDuration()));
  service_.Stop();
  std::promise<void> idle;
  const bool spawned = scope_.Spawn([this, &idle, deadline]() -> Async<void> {
    co_await WaitUntilIdle(deadline);
    idle.set_value();
  });
  if (spawned) idle.get_future().wait();
  sessions_.CloseAll();
}

void TaskQueueModule::Stop() {
  store_.SetListener(nullptr);
  scope_.RequestStop();
  signals_.NotifyAll();
  scope_.Close();
  sync::MutexLock lock(sample_mu_);
  if (store_.durable()) {
    if (sample_.not_durable_count == 0) return;
    logger_.Error("ended while Redis was away; tasks accepted in memory are lost",
                  {{"tasks", sample_.not_durable_count}});
    return;
  }
  const auto count = [this](TaskStatus status) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return sample_.by_status[static_cast<size_t>(status)];
  };
  logger_.Warning("ended; tasks in memory are lost", {{"pending", count(TaskStatus::kPending)},
                                                      {"scheduled", count(TaskStatus::kScheduled)},
                                                      {"running", count(TaskStatus::kRunning)},
                                                      {"events", sample_.outbox_count}});
}

}  // namespace

absl::StatusOr<std::unique_ptr<service::Module>> MakeTaskQueueModule(service::Context& context) {
  return MakeTaskQueueModuleOn(context, OpenTaskStore);
}

absl::StatusOr<std::unique_ptr<service::Module>> MakeTaskQueueModuleOn(service::Context& context,
                                                                       const OpenStore& open) {
  const config::v1::TaskQueueConfig& config = context.config.task_queue();
  auto store = open(context);
  if (!store.ok()) return store.status();
  auto args_cipher = OpenArgsCipher(config, (*store)->durable(), context.random);
  if (!args_cipher.ok()) return args_cipher.status();
  auto files = std::make_unique<artifact::BlockingPool>(
      std::max(1, context.config.runtime().blocking_threads_count()));
  auto artifacts = artifact::FolderArtifactStore::Open(config.artifact().directory(), *files);
  if (!artifacts.ok()) return artifacts.status();
  auto page_tokens = page_token::PageTokens::Create(context.random.Bytes(kPageTokenSecretBytes));
  if (!page_tokens.ok()) return page_tokens.status();

  std::vector<rpc::MethodTable> tables;
  for (const char* name : {"task_queue.v1.TaskQueueService", "task_queue.v1.WorkerService",
                           "artifact.v1.ArtifactService", "budget.v1.BudgetService",
                           "schedule.v1.ScheduleService", "webhook.v1.WebhookService"}) {
    auto table = rpc::MethodTable::ForService(absl::StrCat("slipstream.", name));
    if (!table.ok()) return table.status();
    tables.push_back(*std::move(table));
  }
  return std::make_unique<TaskQueueModule>(
      context, Opened{*std::move(store), *std::move(args_cipher), std::move(files),
                      *std::move(artifacts), *std::move(page_tokens), std::move(tables[0]),
                      std::move(tables[1]), std::move(tables[2]), std::move(tables[3]),
                      std::move(tables[4]), std::move(tables[5])});
}

}  // namespace slipstream::task_queue
