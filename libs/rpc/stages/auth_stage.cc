#include "libs/rpc/stages/auth_stage.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "libs/rpc/per_method.h"

namespace slipstream::rpc {

namespace {

constexpr std::string_view kActAsUser = "x-slipstream-act-as-user";
constexpr std::string_view kActAsUserBin = "x-slipstream-act-as-user-bin";
constexpr std::string_view kActAsTenant = "x-slipstream-act-as-tenant";
constexpr std::string_view kActAsTenantBin = "x-slipstream-act-as-tenant-bin";

// A text that a client may have sent under `key` or, when it is not printable ASCII, `key`-bin.
std::string_view MetadataText(const CallContext& call, std::string_view key,
                              std::string_view key_bin) {
  const std::string_view plain = call.metadata(key);
  return plain.empty() ? call.metadata(key_bin) : plain;
}

class AuthStage final : public Stage {
 public:
  explicit AuthStage(auth::Authenticator& authenticator) : authenticator_(authenticator) {}
  std::string_view name() const override { return "auth"; }

  absl::Status Begin(CallContext& call) override {
    const std::string_view authorization = call.metadata("authorization");
    if (authorization.empty() && call.method().open) return absl::OkStatus();
    auto principal =
        authenticator_.Authenticate(authorization, MetadataText(call, kActAsUser, kActAsUserBin),
                                    MetadataText(call, kActAsTenant, kActAsTenantBin));
    if (!principal.ok()) return principal.status();
    call.set_principal(*std::move(principal));
    return absl::OkStatus();
  }

 private:
  auth::Authenticator& authenticator_;
};

class PermissionStage final : public Stage {
 public:
  explicit PermissionStage(const auth::PermissionMap& permissions) : permissions_(permissions) {}
  std::string_view name() const override { return "permission"; }

  absl::Status Begin(CallContext& call) override {
    if (call.method().open) return absl::OkStatus();
    const std::vector<std::string>& allowed = roles_.Of(
        call.method(), [this](const Method& m) { return permissions_.RolesWith(m.permission); });
    for (const std::string& role : call.principal().roles) {
      if (std::find(allowed.begin(), allowed.end(), role) != allowed.end()) return absl::OkStatus();
    }
    return permissions_.Check(call.principal(), call.method().permission);
  }

 private:
  // The roles that may call a method: few, so that looking through them beats a hash.
  PerMethod<std::vector<std::string>> roles_;
  const auth::PermissionMap& permissions_;
};

}  // namespace

std::unique_ptr<Stage> MakeAuthStage(auth::Authenticator& authenticator) {
  return std::make_unique<AuthStage>(authenticator);
}

std::unique_ptr<Stage> MakePermissionStage(const auth::PermissionMap& permissions) {
  return std::make_unique<PermissionStage>(permissions);
}

}  // namespace slipstream::rpc
