// Load of unary submits on the task queue.
//   submit_load --address=... --token=...
// Prints what ClosedLoop measures, with the messages' sizes, which the echo is then asked for.
#include <grpcpp/grpcpp.h>

#include <atomic>

#include "absl/flags/flag.h"
#include "libs/rpc/channel.h"
#include "slipstream/task_queue/v1/task_queue.grpc.pb.h"
#include "tests/bench/unary_load.h"

ABSL_DECLARE_FLAG(int, channels);

namespace slipstream::bench {
namespace {

using task_queue::v1::SubmitTaskRequest;
using task_queue::v1::Task;
using task_queue::v1::TaskQueueService;

int Main() {
  std::vector<std::unique_ptr<TaskQueueService::Stub>> stubs;
  for (int i = 0; i < absl::GetFlag(FLAGS_channels); ++i) {
    stubs.push_back(TaskQueueService::NewStub(rpc::MakeChannel(absl::GetFlag(FLAGS_address))));
  }
  SubmitTaskRequest sample;
  MakeTask(12345, 0, &sample);
  std::atomic<size_t> response_bytes{0};
  UnaryLoad<SubmitTaskRequest, Task> load(
      sample, Renumber,
      [&](int64_t number, auto* context, auto* request, auto* response, auto done) {
        stubs[static_cast<size_t>(number) % stubs.size()]->async()->SubmitTask(
            context, request, response, std::move(done));
      },
      [&](int64_t number, const Task& task) {
        if (number == 1000) response_bytes.store(task.ByteSizeLong());
        return !task.task_id().empty();
      });
  nlohmann::json out;
  out["request_bytes"] = sample.ByteSizeLong();
  load.Run(&out);
  out["response_bytes"] = response_bytes.load();
  Print(out);
  return 0;
}

}  // namespace
}  // namespace slipstream::bench

int main(int argc, char** argv) {
  slipstream::bench::ParseFlags(argc, argv);
  return slipstream::bench::Main();
}
