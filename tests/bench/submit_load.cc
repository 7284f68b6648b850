// Closed-loop load of unary calls: --inflight calls at any time, for --seconds.
//   submit_load --target=submit --address=... --token=...
//   submit_load --target=echo --address=... --request_bytes=N --response_bytes=N
// Prints {"calls_per_second", "calls", "errors", "cpu_s", "request_bytes", "response_bytes",
// latencies}; the sizes of a submit are what the echo is then asked for.
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <thread>

#include "absl/flags/flag.h"
#include "echo.grpc.pb.h"
#include "libs/rpc/channel.h"
#include "libs/sync/mutex.h"
#include "tests/bench/bench_load.h"

ABSL_DECLARE_FLAG(int, channels);
ABSL_FLAG(std::string, target, "submit", "submit or echo");
ABSL_FLAG(int, inflight, 256, "calls at any time");
ABSL_FLAG(double, seconds, 5, "measured time");
ABSL_FLAG(double, warmup_s, 1, "time before the measurement");
ABSL_FLAG(int, request_bytes, 150, "of an echo");
ABSL_FLAG(int, response_bytes, 250, "of an echo");

namespace slipstream::bench {
namespace {

// What a call is about to both targets: `start` begins one and calls back when it is over.
class Loop {
 public:
  using Done = std::function<void(bool ok)>;
  using Start = std::function<void(int64_t number, Done done)>;

  Loop(Start start, int inflight) : start_(std::move(start)), inflight_(inflight) {}

  void Run(absl::Duration warmup, absl::Duration measured, nlohmann::json* out) {
    for (int i = 0; i < inflight_; ++i) {
      running_.fetch_add(1);
      Next();
    }
    Sleep(warmup);
    measuring_.store(true);
    const int64_t begin_ns = NowNs();
    const int64_t begin = ended_.load();
    const double cpu = CpuSeconds();
    Sleep(measured);
    const int64_t calls = ended_.load() - begin;
    const double seconds = static_cast<double>(NowNs() - begin_ns) / 1e9;
    measuring_.store(false);
    (*out)["calls"] = calls;
    (*out)["seconds"] = seconds;
    (*out)["calls_per_second"] = static_cast<double>(calls) / seconds;
    (*out)["cpu_s"] = CpuSeconds() - cpu;
    stopping_.store(true);
    while (running_.load() > 0) Sleep(absl::Milliseconds(1));
    (*out)["errors"] = errors_.load();
    sync::MutexLock lock(mu_);
    (*out)["latency"] = Percentiles(std::move(latencies_));
  }

 private:
  static void Sleep(absl::Duration d) { std::this_thread::sleep_for(absl::ToChronoNanoseconds(d)); }

  void Next() {
    if (stopping_.load(std::memory_order_relaxed)) {
      running_.fetch_sub(1);
      return;
    }
    const int64_t number = next_.fetch_add(1, std::memory_order_relaxed);
    // One in 16 is timed: enough for percentiles, too few to be felt.
    const int64_t at = number % 16 == 0 ? NowNs() : 0;
    start_(number, [this, at](bool ok) {
      ended_.fetch_add(1, std::memory_order_relaxed);
      if (!ok) errors_.fetch_add(1);
      if (at != 0 && measuring_.load(std::memory_order_relaxed)) {
        sync::MutexLock lock(mu_);
        latencies_.push_back(NowNs() - at);
      }
      Next();
    });
  }

  const Start start_;
  const int inflight_;
  std::atomic<int64_t> next_{0}, ended_{0}, errors_{0};
  std::atomic<int> running_{0};
  std::atomic<bool> stopping_{false}, measuring_{false};
  sync::Mutex mu_;
  std::vector<int64_t> latencies_ ABSL_GUARDED_BY(mu_);
};

struct EchoCall {
  grpc::ClientContext context;
  EchoRequest request;
  EchoResponse response;
};

int Main() {
  nlohmann::json out;
  const auto run = [&](Loop::Start start) {
    Loop loop(std::move(start), absl::GetFlag(FLAGS_inflight));
    loop.Run(absl::Seconds(absl::GetFlag(FLAGS_warmup_s)),
             absl::Seconds(absl::GetFlag(FLAGS_seconds)), &out);
  };
  if (absl::GetFlag(FLAGS_target) == "echo") {
    std::vector<std::unique_ptr<EchoService::Stub>> stubs;
    for (int i = 0; i < absl::GetFlag(FLAGS_channels); ++i) {
      stubs.push_back(EchoService::NewStub(rpc::MakeChannel(absl::GetFlag(FLAGS_address))));
    }
    const std::string payload(static_cast<size_t>(absl::GetFlag(FLAGS_request_bytes)), 'x');
    const int response_bytes = absl::GetFlag(FLAGS_response_bytes);
    run([&](int64_t number, Loop::Done done) {
      auto* call = new EchoCall;  // owned by its own callback
      call->request.set_payload(payload);
      call->request.set_response_bytes(response_bytes);
      stubs[static_cast<size_t>(number) % stubs.size()]->async()->Echo(
          &call->context, &call->request, &call->response,
          [call, done = std::move(done)](const grpc::Status& status) {
            done(status.ok());
            delete call;
          });
    });
  } else {
    Clients clients;
    const rpc::CallOptions options = Call();
    task_queue::v1::SubmitTaskRequest sample;
    MakeTask(12345, 0, &sample);
    out["request_bytes"] = sample.ByteSizeLong();
    std::atomic<size_t> response_bytes{0};
    run([&](int64_t number, Loop::Done done) {
      // Made once, as the echo's payload is; each call has its own number and priority.
      thread_local task_queue::v1::SubmitTaskRequest request = sample;
      Renumber(number, &request);
      clients.Next().SubmitThen(
          options, request,
          [&, done = std::move(done), number](const absl::Status& status, const auto& task) {
            if (number == 1000) response_bytes.store(task.ByteSizeLong());
            done(status.ok());
          });
    });
    out["response_bytes"] = response_bytes.load();
  }
  Print(out);
  return 0;
}

}  // namespace
}  // namespace slipstream::bench

int main(int argc, char** argv) {
  slipstream::bench::ParseFlags(argc, argv);
  return slipstream::bench::Main();
}
