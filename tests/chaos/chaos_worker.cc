// A worker for queue_chaos.py: its handler works out a checksum after a short random time, has the
// effect ledger accept it, and only then reports. It does not stop when it is told that its lease
// is gone: the ledger is the outside resource that must refuse it.
//
// What it does is in the file --log, a line each, written at once so that a kill loses none:
//   S <task> <epoch> <monotonic ns>   a handler begins
//   C <task> <epoch> <monotonic ns>   a handler is told to stop
// The end of its standard input drains it.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/async/deadline.h"
#include "libs/async/event.h"
#include "libs/async/runtime.h"
#include "libs/client/worker/failure.h"
#include "libs/client/worker/grpc_worker_stream.h"
#include "libs/client/worker/worker.h"
#include "libs/clock/clock.h"
#include "libs/hash/fnv1a.h"
#include "libs/logging/logger.h"
#include "libs/random/random.h"
#include "libs/rpc/channel.h"
#include "libs/sync/mutex.h"

ABSL_FLAG(std::vector<std::string>, address, {}, "servers, one after the other when a stream ends");
ABSL_FLAG(std::string, token, "", "bearer token of the streams");
ABSL_FLAG(std::string, name, "chaos", "name of this worker");
ABSL_FLAG(std::string, type, "chaos", "task type");
ABSL_FLAG(std::string, limited_type, "", "another task type, of which few may run at once");
ABSL_FLAG(int, slots, 16, "tasks at once");
ABSL_FLAG(int, ledger_port, 0, "port of the effect ledger; 0: tasks are held until cancelled");
ABSL_FLAG(std::string, log, "", "file for what happens");

namespace slipstream::chaos {
namespace {

using worker_client::TaskArgs;
using worker_client::TaskContext;
using worker_client::TaskResult;

constexpr int kLimitedCount = 12;

std::string Checksum(std::string_view data) {
  return absl::StrCat(absl::Hex(hash::Fnv1a(data), absl::kZeroPad16));
}

// Asks the ledger, one question at a time. It is always there and answers at once.
class Ledger {
 public:
  explicit Ledger(int port) {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) Die();
  }
  ~Ledger() { close(fd_); }
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  bool Accepts(const std::string& effect) {
    sync::MutexLock lock(mu_);
    char answer[2];
    if (send(fd_, effect.data(), effect.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(effect.size()) ||
        recv(fd_, answer, 2, MSG_WAITALL) != 2) {
      Die();
    }
    return answer[0] == 'A';
  }

 private:
  [[noreturn]] static void Die() {
    std::perror("the effect ledger does not answer");
    std::_Exit(3);
  }

  sync::Mutex mu_;
  int fd_;
};

class EventLog {
 public:
  explicit EventLog(const std::string& path)
      : fd_(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {}
  ~EventLog() { close(fd_); }
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  void Write(char what, const TaskContext& context) {
    const std::string line =
        absl::StrCat(std::string(1, what), " ", context.task_id(), " ", context.info().lease_epoch,
                     " ", absl::ToInt64Nanoseconds(clock_.Monotonic()), "\n");
    if (write(fd_, line.data(), line.size()) < 0) std::perror("log");
  }

 private:
  const clock::SystemClock clock_;
  const int fd_;
};

class ChaosWorker {
 public:
  ChaosWorker() : log_(absl::GetFlag(FLAGS_log)) {
    const int port = absl::GetFlag(FLAGS_ledger_port);
    if (port > 0) ledger_ = std::make_unique<Ledger>(port);
    worker_client::TaskRegistration task;
    task.type.set_name(absl::GetFlag(FLAGS_type));
    task.type.set_max_attempts(100);
    task.handler = [this](const TaskArgs& args, TaskContext& context) {
      return ledger_ != nullptr ? Run(args, context) : Hold(context);
    };
    worker_client::WorkerOptions options;
    options.executor = runtime_.executor();
    options.clock = &clock_;
    options.random = &random_;
    options.logger = logging::Logger::ToFd(2, clock_, {});
    options.name = absl::GetFlag(FLAGS_name);
    options.slots = absl::GetFlag(FLAGS_slots);
    if (const std::string limited = absl::GetFlag(FLAGS_limited_type); !limited.empty()) {
      worker_client::TaskRegistration another = task;
      another.type.set_name(limited);
      another.type.set_max_running_count(kLimitedCount);
      options.tasks.push_back(std::move(another));
    }
    options.tasks.push_back(std::move(task));
    auto made = worker_client::Worker::Create(std::move(options), Streams());
    if (!made.ok()) {
      std::fprintf(stderr, "%s\n", made.status().ToString().c_str());
      std::exit(1);
    }
    worker_ = *std::move(made);
  }

  void Run() {
    worker_->Start();
    for (std::string line; std::getline(std::cin, line);) {
    }
    worker_->Drain(clock_.Now() + absl::Seconds(2));
    worker_->Stop();
  }

 private:
  // Another server for each stream: a session goes on at any of them.
  static worker_client::StreamFactory Streams() {
    std::vector<worker_client::StreamFactory> servers;
    for (const std::string& address : absl::GetFlag(FLAGS_address)) {
      servers.push_back(worker_client::GrpcStreams(rpc::MakeChannel(address),
                                                   []() -> absl::StatusOr<rpc::CallOptions> {
                                                     rpc::CallOptions call;
                                                     call.bearer_token = absl::GetFlag(FLAGS_token);
                                                     return call;
                                                   }));
    }
    return [servers = std::move(servers), next = size_t{0}]() mutable {
      return servers[next++ % servers.size()]();
    };
  }

  Async<absl::StatusOr<TaskResult>> Run(const TaskArgs& args, TaskContext& context) {
    log_.Write('S', context);
    const auto& fields = args.fields();
    const std::string checksum = Checksum(fields.at("data").string_value());
    const absl::Duration work = absl::Milliseconds(fields.at("ms").number_value());
    async::Event never;
    co_await never.Wait(never.version(), async::After(work));
    const int64_t epoch = context.info().lease_epoch;
    if (!ledger_->Accepts(absl::StrCat("E ", context.task_id(), " ", epoch, " ", checksum, " ",
                                       absl::GetFlag(FLAGS_name), "\n"))) {
      co_return worker_client::Final(absl::AbortedError("the ledger refused a stale epoch"));
    }
    TaskResult result;
    auto& out = *result.value.mutable_fields();
    out["checksum"].set_string_value(checksum);
    out["epoch"].set_string_value(absl::StrCat(epoch));
    co_return result;
  }

  Async<absl::StatusOr<TaskResult>> Hold(TaskContext& context) {
    context.OnCancel([this, &context] { log_.Write('C', context); });
    log_.Write('S', context);
    co_await context.SleepFor(absl::Minutes(1));
    co_return absl::CancelledError("told to stop");
  }

  const clock::SystemClock clock_;
  random::SystemRandom random_;
  EventLog log_;
  std::unique_ptr<Ledger> ledger_;
  async::Runtime runtime_{2};
  std::unique_ptr<worker_client::Worker> worker_;  // last: its handlers use all of the above
};

}  // namespace
}  // namespace slipstream::chaos

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  slipstream::chaos::ChaosWorker().Run();
  return 0;
}
