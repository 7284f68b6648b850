// Audit entries as monitoring takes and shows them.
//
// Thread safety: pure functions.
#ifndef SLIPSTREAM_LIBS_AUDIT_AUDIT_MESSAGE_H_
#define SLIPSTREAM_LIBS_AUDIT_AUDIT_MESSAGE_H_

#include "libs/audit/audit_entry.h"
#include "slipstream/monitoring/v1/monitoring.pb.h"

namespace slipstream::audit {

monitoring::v1::AuditEntry MessageOf(const AuditEntry& entry);

}  // namespace slipstream::audit

#endif  // SLIPSTREAM_LIBS_AUDIT_AUDIT_MESSAGE_H_
