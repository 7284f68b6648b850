#include "libs/rpc/server_call.h"

#include "libs/rpc/status_convert.h"

namespace slipstream::rpc {

namespace {

class GrpcMetadata final : public MetadataSource {
 public:
  explicit GrpcMetadata(const grpc::CallbackServerContext& context)
      : context_(context), map_(context.client_metadata()) {}
  std::string_view Find(std::string_view key) const override {
    auto it = map_.find(grpc::string_ref(key.data(), key.size()));
    if (it == map_.end()) return {};
    return {it->second.data(), it->second.size()};
  }
  std::string Peer() const override { return context_.peer(); }

 private:
  const grpc::CallbackServerContext& context_;
  const std::multimap<grpc::string_ref, grpc::string_ref>& map_;
};

}  // namespace

ServerCall::ServerCall(const Dispatcher& dispatcher, const Method& method,
                       grpc::CallbackServerContext* context)
    : dispatcher_(dispatcher),
      grpc_context_(context),
      call_(method, std::make_unique<GrpcMetadata>(*context)) {
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
