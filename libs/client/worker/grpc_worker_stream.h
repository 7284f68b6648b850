// The worker's stream over gRPC.
#ifndef LIBS_CLIENT_WORKER_GRPC_WORKER_STREAM_H_
#define LIBS_CLIENT_WORKER_GRPC_WORKER_STREAM_H_

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "libs/client/worker/worker_stream.h"
#include "libs/rpc/call_options.h"

namespace grpc {
class Channel;
}

namespace slipstream::worker_client {

// Asked before each stream, so that a token renewed since is used. The timeout does not apply.
using CallOptionsProvider = std::function<absl::StatusOr<rpc::CallOptions>()>;

// Streams to the task queue behind `channel`. Any number of streams, one after the other.
StreamFactory GrpcStreams(std::shared_ptr<grpc::Channel> channel, CallOptionsProvider options);

}  // namespace slipstream::worker_client

#endif  // LIBS_CLIENT_WORKER_GRPC_WORKER_STREAM_H_
