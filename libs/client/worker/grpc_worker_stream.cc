#include "libs/client/worker/grpc_worker_stream.h"

// How protobuf messages travel; client_call.h leaves the choice to its user.
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/byte_buffer.h>

#include <string>
#include <utility>

#include "libs/rpc/client_call.h"

namespace slipstream::worker_client {

namespace {

using task_queue::v1::WorkResponse;

constexpr char kWorkMethod[] = "/slipstream.task_queue.v1.WorkerService/Work";

class GrpcWorkerStream final : public WorkerStream {
 public:
  using Call = rpc::BidiCall<grpc::ByteBuffer, WorkResponse>;
  explicit GrpcWorkerStream(std::shared_ptr<Call> call) : call_(std::move(call)) {}

  Async<bool> Write(std::string request) override {
    auto* kept = new std::string(std::move(request));  // the slice's, which frees it
    const grpc::Slice slice(
        kept->data(), kept->size(), [](void* text) { delete static_cast<std::string*>(text); },
        kept);
    return call_->Write(grpc::ByteBuffer(&slice, 1));
  }
  Async<std::shared_ptr<WorkResponse>> Read() override { return call_->ReadOnArena(); }
  void Finish() override { call_->SendsDone(); }
  void Cancel() override { call_->Cancel(); }
  absl::Status status() const override { return call_->status(); }

 private:
  const std::shared_ptr<Call> call_;
};

}  // namespace

StreamFactory GrpcStreams(std::shared_ptr<grpc::Channel> channel, CallOptionsProvider provider) {
  return [channel = std::move(channel),
          provider = std::move(provider)]() -> absl::StatusOr<std::shared_ptr<WorkerStream>> {
    auto options = provider();
    if (!options.ok()) return options.status();
    options->timeout = absl::InfiniteDuration();
    return std::make_shared<GrpcWorkerStream>(
        GrpcWorkerStream::Call::Start(channel, kWorkMethod, *options));
  };
}

}  // namespace slipstream::worker_client
