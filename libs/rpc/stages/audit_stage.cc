#include "libs/rpc/stages/audit_stage.h"

#include "libs/status/status.h"

namespace slipstream::rpc {

namespace {

class AuditStage final : public Stage {
 public:
  AuditStage(audit::AuditLog& log, const clock::Clock& clock) : log_(log), clock_(clock) {}
  std::string_view name() const override { return "audit"; }

  void End(CallContext& call, const absl::Status& status) override {
    const bool denied = status.code() == absl::StatusCode::kPermissionDenied;
    if (!call.method().audited && !denied) return;
    const auth::Principal& who = call.principal();
    log_.Append({.time = clock_.Now(),
                 .who = who.user,
                 .acting_service = who.acting_service,
                 .tenant = who.tenant,
                 .method = call.method().FullName(),
                 .target = call.audit_target(),
                 .code = absl::StatusCodeToString(status.code()),
                 .reason = status::Reason(status),
                 .before = call.audit_before(),
                 .after = call.audit_after(),
                 .correlation_id = call.correlation_id(),
                 .peer = call.peer()});
  }

 private:
  audit::AuditLog& log_;
  const clock::Clock& clock_;
};

}  // namespace

std::unique_ptr<Stage> MakeAuditStage(audit::AuditLog& log, const clock::Clock& clock) {
  return std::make_unique<AuditStage>(log, clock);
}

}  // namespace slipstream::rpc
