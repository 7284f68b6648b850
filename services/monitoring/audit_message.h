// Audit entries and questions for them, from the wire.
//
// Thread safety: pure functions.
#ifndef SERVICES_MONITORING_AUDIT_MESSAGE_H_
#define SERVICES_MONITORING_AUDIT_MESSAGE_H_

#include "absl/status/statusor.h"
#include "libs/audit/audit_entry.h"
#include "libs/audit/audit_log.h"
#include "slipstream/monitoring/v1/monitoring.pb.h"

namespace slipstream::monitoring {

// REQUIRES: checked by CheckEntries.
audit::AuditEntry EntryOf(const v1::AuditEntry& message);

// INVALID_ARGUMENT with the field's name.
absl::Status CheckEntries(const v1::RecordAuditEntriesRequest& request);
// Filters and page size, not the page token.
absl::StatusOr<audit::AuditQuery> QueryOf(const v1::ListAuditEntriesRequest& request);

}  // namespace slipstream::monitoring

#endif  // SERVICES_MONITORING_AUDIT_MESSAGE_H_
