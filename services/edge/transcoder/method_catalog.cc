#include "services/edge/transcoder/method_catalog.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/api/annotations.pb.h"
#include "slipstream/api/v1/policy.pb.h"

namespace slipstream::edge {

namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using google::protobuf::FileDescriptorProto;
using google::protobuf::FileDescriptorSet;
using google::protobuf::MethodDescriptor;

constexpr int kDefaultSuccessStatus = 200;

// Keeps the first thing that protobuf complains about.
class FirstError : public DescriptorPool::ErrorCollector {
 public:
  void AddError(const std::string& filename, const std::string& element,
                const google::protobuf::Message*, ErrorLocation,
                const std::string& message) override {
    if (text_.empty()) text_ = absl::StrCat(filename, ": ", element, ": ", message);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

StreamingKind KindOf(const MethodDescriptor& method) {
  if (method.client_streaming()) {
    return method.server_streaming() ? StreamingKind::kBidi : StreamingKind::kClient;
  }
  return method.server_streaming() ? StreamingKind::kServer : StreamingKind::kUnary;
}

absl::StatusOr<CatalogMethod> ReadMethod(const MethodDescriptor& descriptor) {
  CatalogMethod method;
  method.descriptor = &descriptor;
  method.service = descriptor.service()->full_name();
  method.name = descriptor.full_name();
  method.grpc_path = absl::StrCat("/", method.service, "/", descriptor.name());
  method.streaming = KindOf(descriptor);
  const auto& policy = descriptor.options().GetExtension(slipstream::api::v1::policy);
  method.permission = policy.permission();
  method.open = policy.open();
  method.success_status =
      policy.success_status() == 0 ? kDefaultSuccessStatus : policy.success_status();
  method.default_deadline_ms = policy.default_deadline_ms();
  if (method.success_status < 200 || method.success_status > 299) {
    return absl::InvalidArgumentError(absl::StrCat(method.name, ": success_status ",
                                                   method.success_status, " is not 200 to 299"));
  }
  if (!descriptor.options().HasExtension(google::api::http)) return method;
  auto bindings = ParseHttpRule(descriptor.options().GetExtension(google::api::http));
  if (!bindings.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(method.name, ": ", bindings.status().message()));
  }
  method.bindings = *std::move(bindings);
  return method;
}

bool IsWanted(const std::string& service, const std::vector<std::string>& prefixes) {
  return prefixes.empty() || std::any_of(prefixes.begin(), prefixes.end(), [&](const auto& prefix) {
           return absl::StartsWith(service, prefix);
         });
}

}  // namespace

absl::StatusOr<std::unique_ptr<MethodCatalog>> MethodCatalog::Create(
    const FileDescriptorSet& files, const std::vector<std::string>& service_prefixes) {
  std::unique_ptr<MethodCatalog> catalog(new MethodCatalog());
  // google.protobuf's own files come from the binary, so that Struct, Timestamp ... are the
  // generated, fast classes.
  catalog->pool_ = std::make_unique<DescriptorPool>(DescriptorPool::generated_pool());
  catalog->factory_ =
      std::make_unique<google::protobuf::DynamicMessageFactory>(catalog->pool_.get());
  catalog->factory_->SetDelegateToGeneratedFactory(true);
  for (const FileDescriptorProto& proto : files.file()) {
    if (absl::StartsWith(proto.name(), "google/protobuf/") &&
        DescriptorPool::generated_pool()->FindFileByName(proto.name()) != nullptr) {
      continue;
    }
    FirstError error;
    const FileDescriptor* file = catalog->pool_->BuildFileCollectingErrors(proto, &error);
    if (file == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("descriptors do not link: ", error.text()));
    }
    for (int s = 0; s < file->service_count(); ++s) {
      if (!IsWanted(file->service(s)->full_name(), service_prefixes)) continue;
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        auto method = ReadMethod(*file->service(s)->method(m));
        if (!method.ok()) return method.status();
        for (size_t b = 0; b < method->bindings.size(); ++b) {
          auto binder = RequestBinder::Create(*method->descriptor, method->bindings[b]);
          if (!binder.ok()) return binder.status();
          catalog->endpoints_.push_back({catalog->methods_.size(), b, *std::move(binder)});
        }
        catalog->methods_.push_back(*std::move(method));
      }
    }
  }
  return catalog;
}

std::vector<RouteSpec> MethodCatalog::RouteSpecs(size_t first_target) const {
  std::vector<RouteSpec> specs;
  specs.reserve(endpoints_.size());
  for (size_t i = 0; i < endpoints_.size(); ++i) {
    const CatalogMethod& method = methods_[endpoints_[i].method];
    const HttpBinding& binding = method.bindings[endpoints_[i].binding];
    specs.push_back({binding.http_method, binding.path, method.name, first_target + i});
  }
  return specs;
}

absl::StatusOr<RouteTable> MethodCatalog::BuildRoutes() const {
  return RouteTable::Build(RouteSpecs());
}

const CatalogMethod* MethodCatalog::Find(std::string_view name) const {
  const auto found = std::find_if(
      methods_.begin(), methods_.end(),
      [&](const CatalogMethod& method) { return method.name == name || method.grpc_path == name; });
  return found == methods_.end() ? nullptr : &*found;
}

std::unique_ptr<google::protobuf::Message> MethodCatalog::NewMessage(
    const google::protobuf::Descriptor& type) const {
  return std::unique_ptr<google::protobuf::Message>(factory_->GetPrototype(&type)->New());
}

google::protobuf::Message* MethodCatalog::NewMessage(const google::protobuf::Descriptor& type,
                                                     google::protobuf::Arena* arena) const {
  return factory_->GetPrototype(&type)->New(arena);
}

}  // namespace slipstream::edge
