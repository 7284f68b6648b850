#include "libs/rpc/stages/audit_stage.h"

#include <utility>

#include "libs/status/status.h"

namespace slipstream::rpc {

namespace {

class AuditStage final : public Stage {
 public:
  AuditStage(audit::AuditLog& log, std::string service, const clock::Clock& clock)
      : log_(log), service_(std::move(service)), clock_(clock) {}
  std::string_view name() const override { return "audit"; }

  void End(CallContext& call, const absl::Status& status) override {
    const bool denied = status.code() == absl::StatusCode::kPermissionDenied;
    if (!call.method().audited && !denied) return;
    const auth::Principal& who = call.principal();
    audit::AuditEntry entry;
    entry.occurred_at = clock_.Now();
    entry.user = who.user;
    entry.tenant = who.tenant;
    entry.acting_service = who.acting_service;
    entry.action = call.method().FullName();
    entry.target = call.audit_target();
    entry.before = call.audit_before();
    entry.after = call.audit_after();
    entry.result = audit::ResultOf(status);
    if (!status.ok()) entry.code = absl::StatusCodeToString(status.code());
    entry.reason = status::Reason(status);
    entry.correlation_id = call.correlation_id();
    entry.service = service_;
    entry.peer = call.peer();
    log_.Record(std::move(entry));
  }

 private:
  audit::AuditLog& log_;
  const std::string service_;
  const clock::Clock& clock_;
};

}  // namespace

std::unique_ptr<Stage> MakeAuditStage(audit::AuditLog& log, std::string service,
                                      const clock::Clock& clock) {
  return std::make_unique<AuditStage>(log, std::move(service), clock);
}

}  // namespace slipstream::rpc
