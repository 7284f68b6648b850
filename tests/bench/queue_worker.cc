// The worker of the queue benches, on libs/client/worker. Prints {"event": "ready"} once connected.
// Lines of its standard input ask: "mark" prints what it has done so far, "reset" forgets the waits
// measured so far; the end of the input ends it, with a last mark.
#include <atomic>
#include <cstdio>
#include <iostream>
#include <thread>

#include "absl/flags/flag.h"
#include "libs/async/runtime.h"
#include "libs/client/worker/grpc_worker_stream.h"
#include "libs/client/worker/worker.h"
#include "libs/logging/logger.h"
#include "libs/random/random.h"
#include "libs/rpc/channel.h"
#include "libs/sync/mutex.h"
#include "tests/bench/bench_load.h"

ABSL_FLAG(int, slots, 2000, "tasks at once");
ABSL_FLAG(int, work_ms, 0, "how long each task takes, waiting; 0: it is done at once");
ABSL_FLAG(int, threads, 1, "threads of the worker");
ABSL_FLAG(std::string, counter, "", "file in which finished tasks are counted");

namespace slipstream::bench {
namespace {

using worker_client::TaskArgs;
using worker_client::TaskContext;
using worker_client::TaskResult;

class Waits {
 public:
  void Add(int64_t ns) {
    sync::MutexLock lock(mu_);
    ns_.push_back(ns);
  }
  void Reset() {
    sync::MutexLock lock(mu_);
    ns_.clear();
  }
  nlohmann::json Read() {
    sync::MutexLock lock(mu_);
    return Percentiles(ns_);
  }

 private:
  sync::Mutex mu_;
  std::vector<int64_t> ns_ ABSL_GUARDED_BY(mu_);
};

class BenchWorker {
 public:
  BenchWorker() {
    if (const std::string path = absl::GetFlag(FLAGS_counter); !path.empty()) {
      counter_ = std::make_unique<SharedCounter>(path);
    }
    worker_client::TaskRegistration task;
    task.type.set_name(kTaskType);
    task.type.set_max_attempts(1);
    const absl::Duration work = absl::Milliseconds(absl::GetFlag(FLAGS_work_ms));
    if (work > absl::ZeroDuration()) {
      task.handler = [this, work](const TaskArgs& args,
                                  TaskContext& context) -> Async<absl::StatusOr<TaskResult>> {
        TaskResult result = Start(args);
        co_await context.SleepFor(work);
        Finished();
        co_return result;
      };
    } else {
      task.inline_handler = [this](const TaskArgs& args, TaskContext&) {
        TaskResult result = Start(args);
        Finished();
        return absl::StatusOr<TaskResult>(std::move(result));
      };
    }
    worker_client::WorkerOptions options;
    options.executor = runtime_.executor();
    options.clock = &clock_;
    options.random = &random_;
    options.logger = logging::Logger::ToFd(2, clock_, {});
    options.name = "bench";
    options.slots = absl::GetFlag(FLAGS_slots);
    options.tasks = {std::move(task)};
    auto made = worker_client::Worker::Create(
        std::move(options),
        worker_client::GrpcStreams(rpc::MakeChannel(absl::GetFlag(FLAGS_address)),
                                   []() -> absl::StatusOr<rpc::CallOptions> { return Call(); }));
    if (!made.ok()) {
      std::fprintf(stderr, "%s\n", made.status().ToString().c_str());
      std::exit(1);
    }
    worker_ = *std::move(made);
  }

  void Run() {
    worker_->Start();
    for (int i = 0; i < 10000 && !worker_->connected(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    Print({{"event", worker_->connected() ? "ready" : "not connected"}});
    for (std::string line; std::getline(std::cin, line);) {
      if (line == "reset") waits_.Reset();
      Print(Mark());
    }
    const nlohmann::json last = Mark();
    worker_->Drain(clock_.Now() + absl::Milliseconds(500));
    worker_->Stop();
    Print(last);
  }

 private:
  TaskResult Start(const TaskArgs& args) {
    const auto at = static_cast<int64_t>(args.fields().at("at").number_value());
    if (at > 0) waits_.Add(NowNs() - at);
    TaskResult result;
    (*result.value.mutable_fields())["n"] = args.fields().at("n");
    return result;
  }
  void Finished() {
    if (counter_ != nullptr) (**counter_).fetch_add(1, std::memory_order_relaxed);
  }
  nlohmann::json Mark() {
    const worker_client::WorkerStats stats = worker_->stats();
    return {{"event", "mark"},
            {"at_ns", NowNs()},
            {"succeeded", stats.succeeded_total},
            {"failed", stats.failed_total},
            {"stale", stats.stale_total},
            {"refused", stats.refused_total},
            {"sessions", stats.sessions_total},
            {"running", stats.running_count},
            {"pickup", waits_.Read()},
            {"cpu_s", CpuSeconds()}};
  }

  const clock::SystemClock clock_;
  random::SystemRandom random_;
  async::Runtime runtime_{absl::GetFlag(FLAGS_threads)};
  std::unique_ptr<SharedCounter> counter_;
  Waits waits_;
  std::unique_ptr<worker_client::Worker> worker_;  // last: its handlers use all of the above
};

}  // namespace
}  // namespace slipstream::bench

int main(int argc, char** argv) {
  slipstream::bench::ParseFlags(argc, argv);
  slipstream::bench::BenchWorker().Run();
  return 0;
}
