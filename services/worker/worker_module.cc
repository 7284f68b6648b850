#include "services/worker/worker_module.h"

#include <unistd.h>

#include <algorithm>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/client/worker/grpc_worker_stream.h"
#include "libs/client/worker/worker.h"
#include "libs/service/context.h"
#include "services/worker/owner_access.h"
#include "services/worker/pdf/renderer.h"
#include "services/worker/reported_drafter.h"
#include "services/worker/rfc_draft/offline_drafter.h"
#include "services/worker/worker_metrics.h"
#include "services/worker/worker_tasks.h"
#include "slipstream/config/v1/config.pb.h"

namespace slipstream::worker {

namespace {

// Of a drain's time, kept for handing back what did not end.
constexpr absl::Duration kHandBackTimeout = absl::Seconds(2);
// As monitoring names the drafter that stands in for a language model.
constexpr char kOfflineModel[] = "offline drafter";

std::string WorkerName() {
  char host[64] = {};
  if (gethostname(host, sizeof(host) - 1) != 0) return absl::StrCat("worker/", getpid());
  return absl::StrCat(host, "/", getpid());
}

pdf::RendererOptions RendererOptionsOf(const config::v1::WorkerConfig& config,
                                       const logging::Logger& logger) {
  pdf::RendererOptions options;
  // Each child keeps a core busy.
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  options.parallel_count = std::min(config.slots_count(), cores);
  options.waiting_count = std::max(options.waiting_count, config.slots_count());
  options.limits.memory_bytes = config.pdf().max_memory_bytes();
  options.limits.output_bytes = config.pdf().max_output_bytes();
  options.limits.cpu_seconds = config.pdf().max_cpu_s();
  options.limits.wall_time = absl::Milliseconds(config.pdf().timeout_ms());
  options.warn = [logger](std::string_view text) { logger.Warning(text); };
  return options;
}

class WorkerModule final : public service::Module {
 public:
  explicit WorkerModule(service::Context& context)
      : context_(context),
        config_(context.config.worker()),
        renderer_(RendererOptionsOf(config_, context.logger)) {}

  absl::Status Init() {
    worker_client::WorkerOptions options;
    options.executor = context_.runtime.executor();
    options.clock = &context_.clock;
    options.random = &context_.random;
    options.logger = context_.logger;
    options.name = WorkerName();
    options.slots = config_.slots_count();
    options.hand_back_timeout = kHandBackTimeout;
    options.tasks = WorkerTasks({.drafter = &drafter_,
                                 .renderer = &renderer_,
                                 .clock = &context_.clock,
                                 .access = [this]() -> OwnerAccess& { return *access_; },
                                 .metrics = &context_.metrics,
                                 .logger = context_.logger});
    // The queue's address is known from Start() on, which is before the first stream.
    auto worker = worker_client::Worker::Create(std::move(options), [this] {
      return worker_client::GrpcStreams(
          context_.peers.Channel("task_queue"),
          [this]() -> absl::StatusOr<rpc::CallOptions> { return context_.peers.OwnCall(); })();
    });
    if (!worker.ok()) return worker.status();
    worker_ = *std::move(worker);
    figures_ = context_.metrics.AddCollector([this](metrics::Samples& out) { Collect(out); });
    return absl::OkStatus();
  }

  std::vector<service::ReadinessCheck> ReadinessChecks() override {
    return {{"worker", [this] {
               return worker_->connected()
                          ? absl::OkStatus()
                          : absl::UnavailableError("no session with the task queue");
             }}};
  }

  absl::Status Start() override {
    access_ = std::make_unique<OwnerAccess>(context_.peers, context_.peers.Channel("cache"),
                                            context_.peers.Channel("task_queue"), context_.metrics);
    worker_->Start();
    return absl::OkStatus();
  }

  void Drain(absl::Time deadline) override {
    const absl::Time own = context_.clock.Now() + absl::Milliseconds(config_.drain_ms());
    worker_->Drain(std::min(own, deadline - kHandBackTimeout));
  }

  void Stop() override { worker_->Stop(); }

 private:
  void Collect(metrics::Samples& out) {
    const worker_client::WorkerStats stats = worker_->stats();
    const auto number = [](int64_t value) { return static_cast<double>(value); };
    out.Add(kAssigned, number(stats.assigned_total));
    out.Add(kReported, number(stats.succeeded_total), {"success"});
    out.Add(kReported, number(stats.failed_total), {"failure"});
    out.Add(kReported, number(stats.released_total), {"release"});
    out.Add(kRefused, number(stats.stale_total), {"stale_lease"});
    out.Add(kRefused, number(stats.refused_total), {"other"});
    out.Add(kCancelled, number(stats.cancelled_total));
    out.Add(kLost, number(stats.lost_total));
    out.Add(kSessions, number(stats.sessions_total - stats.resumed_total), {"new"});
    out.Add(kSessions, number(stats.resumed_total), {"resumed"});
    out.Add(kConnected, stats.connected ? 1 : 0);
    out.Add(kSlots, config_.slots_count());
    out.Add(kRunning, stats.running_count);
    out.Add(kWaiting, stats.waiting_count);
    out.Add(kUnacked, stats.unacked_count);
  }

  service::Context& context_;
  const config::v1::WorkerConfig& config_;
  rfc_draft::OfflineDrafter offline_;
  ReportedDrafter drafter_{offline_, kOfflineModel, context_.clock, context_.reporter};
  pdf::PdfRenderer renderer_;
  std::unique_ptr<OwnerAccess> access_;
  std::unique_ptr<worker_client::Worker> worker_;
  metrics::Registry::Registration figures_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<service::Module>> MakeWorkerModule(service::Context& context) {
  auto module = std::make_unique<WorkerModule>(context);
  if (absl::Status status = module->Init(); !status.ok()) return status;
  return module;
}

}  // namespace slipstream::worker
