// Shared by all server adapters: makes the CallContext from gRPC's and ends the call through the
// chain exactly once.
#ifndef LIBS_RPC_SERVER_CALL_H_
#define LIBS_RPC_SERVER_CALL_H_

#include <grpcpp/server_context.h>

#include "absl/status/status.h"
#include "libs/rpc/call_context.h"
#include "libs/rpc/dispatcher.h"
#include "libs/rpc/grpc_metadata.h"

namespace slipstream::rpc {

class ServerCall {
 public:
  ServerCall(const Dispatcher& dispatcher, const Method& method,
             grpc::CallbackServerContext* context);

  CallContext& context() { return call_; }
  absl::Status Begin() { return dispatcher_.chain.Begin(call_); }
  // Runs the chain's End and sets the trailers; the caller then finishes its reactor with it.
  grpc::Status End(const absl::Status& status);

 private:
  const Dispatcher& dispatcher_;
  grpc::CallbackServerContext* const grpc_context_;
  const GrpcMetadata metadata_;
  CallContext call_;
};

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_SERVER_CALL_H_
