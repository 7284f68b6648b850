#include "libs/audit/audit_message.h"

#include "libs/timestamp/timestamp.h"

namespace slipstream::audit {

monitoring::v1::AuditEntry MessageOf(const AuditEntry& entry) {
  monitoring::v1::AuditEntry out;
  out.set_entry_id(entry.entry_id);
  *out.mutable_occurred_at() = timestamp::FromTime(entry.occurred_at);
  out.set_user(entry.user);
  out.set_tenant(entry.tenant);
  out.set_acting_service(entry.acting_service);
  out.set_action(entry.action);
  out.set_target(entry.target);
  out.set_before(entry.before);
  out.set_after(entry.after);
  switch (entry.result) {
    case Result::kOk:
      out.set_result(monitoring::v1::AuditEntry::OK);
      break;
    case Result::kDenied:
      out.set_result(monitoring::v1::AuditEntry::DENIED);
      break;
    case Result::kFailed:
      out.set_result(monitoring::v1::AuditEntry::FAILED);
      break;
  }
  out.set_reason(entry.reason);
  out.set_correlation_id(entry.correlation_id);
  out.set_service(entry.service);
  return out;
}

}  // namespace slipstream::audit
