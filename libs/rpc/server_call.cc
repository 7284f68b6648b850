#include "libs/rpc/server_call.h"

#include "libs/rpc/status_convert.h"

namespace slipstream::rpc {

ServerCall::ServerCall(const Dispatcher& dispatcher, const Method& method,
                       grpc::CallbackServerContext* context)
    : dispatcher_(dispatcher),
      grpc_context_(context),
      metadata_(*context),
      call_(method, &metadata_) {
  call_.set_started_at(dispatcher.clock.Now());
  const auto deadline = context->deadline();
  if (deadline != std::chrono::system_clock::time_point::max()) {
    call_.set_deadline(absl::FromChrono(deadline));
  }
}

grpc::Status ServerCall::End(const absl::Status& status) {
  dispatcher_.chain.End(call_, status);
  for (const auto& [key, value] : call_.trailers()) {
    grpc_context_->AddTrailingMetadata(key, value);
  }
  return ToGrpc(status);
}

}  // namespace slipstream::rpc
