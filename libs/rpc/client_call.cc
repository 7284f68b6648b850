#include "libs/rpc/client_call.h"

#include <chrono>

#include "absl/strings/str_cat.h"

namespace slipstream::rpc {

void Apply(const CallOptions& options, grpc::ClientContext* context) {
  if (options.timeout != absl::InfiniteDuration()) {
    context->set_deadline(std::chrono::system_clock::now() +
                          absl::ToChronoMilliseconds(options.timeout));
  }
  if (!options.bearer_token.empty()) {
    context->AddMetadata("authorization", absl::StrCat("Bearer ", options.bearer_token));
  }
  if (!options.act_as_user.empty()) {
    context->AddMetadata("x-slipstream-act-as-user", options.act_as_user);
  }
  if (!options.act_as_tenant.empty()) {
    context->AddMetadata("x-slipstream-act-as-tenant", options.act_as_tenant);
  }
  if (!options.traceparent.empty()) context->AddMetadata("traceparent", options.traceparent);
  if (!options.correlation_id.empty()) context->AddMetadata("x-request-id", options.correlation_id);
  for (const auto& [key, value] : options.metadata) context->AddMetadata(key, value);
}

}  // namespace slipstream::rpc
