#include "libs/rpc/client_call.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"

namespace slipstream::rpc {

namespace {

// gRPC ends the process over a plain value with a byte outside printable ASCII, and names of users
// are any UTF-8: such a value travels under the key's "-bin" form (see MetadataText).
void AddText(grpc::ClientContext* context, const std::string& key, const std::string& value) {
  const bool plain = std::all_of(value.begin(), value.end(),
                                 [](char byte) { return byte >= 0x20 && byte <= 0x7e; });
  context->AddMetadata(plain ? key : key + "-bin", value);
}

}  // namespace

void Apply(const CallOptions& options, grpc::ClientContext* context) {
  if (options.timeout != absl::InfiniteDuration()) {
    context->set_deadline(std::chrono::system_clock::now() +
                          absl::ToChronoMilliseconds(options.timeout));
  }
  if (!options.bearer_token.empty()) {
    context->AddMetadata("authorization", absl::StrCat("Bearer ", options.bearer_token));
  }
  if (!options.act_as_user.empty()) {
    AddText(context, "x-slipstream-act-as-user", options.act_as_user);
  }
  if (!options.act_as_tenant.empty()) {
    AddText(context, "x-slipstream-act-as-tenant", options.act_as_tenant);
  }
  if (!options.traceparent.empty()) context->AddMetadata("traceparent", options.traceparent);
  if (!options.correlation_id.empty()) context->AddMetadata("x-request-id", options.correlation_id);
  for (const auto& [key, value] : options.metadata) context->AddMetadata(key, value);
}

}  // namespace slipstream::rpc
