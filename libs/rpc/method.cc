#include "libs/rpc/method.h"

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "slipstream/api/v1/policy.pb.h"

namespace slipstream::rpc {

namespace {

std::string KindOf(const google::protobuf::MethodDescriptor& method) {
  if (method.client_streaming()) return method.server_streaming() ? "bidi_stream" : "client_stream";
  return method.server_streaming() ? "server_stream" : "unary";
}

}  // namespace

absl::StatusOr<MethodTable> MethodTable::ForService(std::string_view full_service_name) {
  const auto* service = google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
      std::string(full_service_name));
  if (service == nullptr) {
    return absl::NotFoundError(absl::StrCat("service ", std::string(full_service_name),
                                            " is not linked into this binary"));
  }
  MethodTable table;
  for (int i = 0; i < service->method_count(); ++i) {
    const auto& descriptor = *service->method(i);
    const auto& policy = descriptor.options().GetExtension(slipstream::api::v1::policy);
    auto method = std::make_unique<Method>();
    method->service = service->full_name();
    method->name = descriptor.name();
    method->type = KindOf(descriptor);
    method->permission = policy.permission();
    method->open = policy.open();
    method->audited = policy.audited();
    if (policy.default_deadline_ms() > 0) {
      method->default_deadline = absl::Milliseconds(policy.default_deadline_ms());
    }
    if (!method->open && method->permission.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat(method->FullName(), " has neither a permission nor `open` in its policy"));
    }
    table.methods_.emplace(descriptor.name(), std::move(method));
  }
  return table;
}

const Method& MethodTable::operator[](std::string_view name) const {
  auto it = methods_.find(name);
  if (it == methods_.end()) {
    std::fprintf(stderr, "no RPC is named %s\n", std::string(name).c_str());
    std::abort();
  }
  return *it->second;
}

std::vector<const Method*> MethodTable::All() const {
  std::vector<const Method*> out;
  out.reserve(methods_.size());
  for (const auto& [name, method] : methods_) out.push_back(method.get());
  return out;
}

}  // namespace slipstream::rpc
