// A worker with one task type, "echo": answers with its arguments after `seconds`, with progress.
//
//   echo_worker HOST:PORT TOKEN_FILE
//
// HOST:PORT is the task queue's gRPC address; the token in the file has the role `service`
// (slipctl token). SIGTERM lets running tasks end for 10 s.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/async/runtime.h"
#include "libs/client/worker/grpc_worker_stream.h"
#include "libs/client/worker/worker.h"
#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/random/random.h"
#include "libs/rpc/channel.h"

namespace slipstream {
namespace {

using worker_client::TaskArgs;
using worker_client::TaskContext;
using worker_client::TaskResult;

Async<absl::StatusOr<TaskResult>> Echo(const TaskArgs& args, TaskContext& context) {
  const auto found = args.fields().find("seconds");
  const int seconds = found == args.fields().end() ? 0 : found->second.number_value();
  for (int i = 0; i < seconds; ++i) {
    context.Progress(100 * i / seconds, absl::StrCat("second ", i + 1, " of ", seconds));
    if (!co_await context.SleepFor(absl::Seconds(1))) co_return absl::CancelledError("stopped");
  }
  TaskResult result;
  result.value = args;
  co_return result;
}

worker_client::TaskRegistration EchoTask() {
  worker_client::TaskRegistration task;
  task.type.set_name("echo");
  task.type.set_description("Answers with its arguments after `seconds`.");
  task.type.set_deadline_ms(60000);
  task.handler = Echo;
  return task;
}

int Run(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: echo_worker HOST:PORT TOKEN_FILE\n");
    return 2;
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  clock::SystemClock clock;
  random::SystemRandom random;
  async::Runtime runtime(2);
  worker_client::WorkerOptions options;
  options.executor = runtime.executor();
  options.clock = &clock;
  options.random = &random;
  options.logger = logging::Logger::ToFd(2, clock);
  options.name = absl::StrCat("echo-", getpid());
  options.tasks = {EchoTask()};
  // Read before each stream, so that a renewed token is used.
  auto call_options = [path = std::string(argv[2])]() -> absl::StatusOr<rpc::CallOptions> {
    rpc::CallOptions call;
    std::ifstream file(path);
    if (!(file >> call.bearer_token)) {
      return absl::FailedPreconditionError(absl::StrCat("no token in ", path));
    }
    return call;
  };
  auto worker = worker_client::Worker::Create(
      std::move(options), worker_client::GrpcStreams(rpc::MakeChannel(argv[1]), call_options));
  if (!worker.ok()) {
    std::fprintf(stderr, "%s\n", worker.status().ToString().c_str());
    return 1;
  }
  (*worker)->Start();
  int signal_number = 0;
  sigwait(&signals, &signal_number);
  (*worker)->Drain(clock.Now() + absl::Seconds(10));
  (*worker)->Stop();
  return 0;
}

}  // namespace
}  // namespace slipstream

int main(int argc, char** argv) { return slipstream::Run(argc, argv); }
