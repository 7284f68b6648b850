#include "services/monitoring/audit_message.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "libs/timestamp/timestamp.h"

namespace slipstream::monitoring {

namespace {

constexpr int kMaxEntriesCount = 1000;
constexpr int kMaxPageSize = 200;
constexpr size_t kEntryIdBytes = 36;

absl::Status CheckLength(const std::string& field, const std::string& value, size_t max_bytes) {
  if (value.size() <= max_bytes) return absl::OkStatus();
  return status::FieldError(field, absl::StrCat("must have at most ", max_bytes, " characters"));
}

}  // namespace

audit::AuditEntry EntryOf(const v1::AuditEntry& message) {
  audit::AuditEntry out;
  out.entry_id = message.entry_id();
  if (message.has_occurred_at()) out.occurred_at = timestamp::ToTime(message.occurred_at());
  out.user = message.user();
  out.tenant = message.tenant();
  out.acting_service = message.acting_service();
  out.action = message.action();
  out.target = message.target();
  out.before = message.before();
  out.after = message.after();
  out.result = message.result() == v1::AuditEntry::OK       ? audit::Result::kOk
               : message.result() == v1::AuditEntry::DENIED ? audit::Result::kDenied
                                                            : audit::Result::kFailed;
  out.reason = message.reason();
  out.correlation_id = message.correlation_id();
  out.service = message.service();
  return out;
}

absl::Status CheckEntries(const v1::RecordAuditEntriesRequest& request) {
  if (request.entries_size() < 1 || request.entries_size() > kMaxEntriesCount) {
    return status::FieldError("entries",
                              absl::StrCat("must be 1-1000, has ", request.entries_size()));
  }
  for (int i = 0; i < request.entries_size(); ++i) {
    const auto& entry = request.entries(i);
    const std::string field = absl::StrCat("entries[", i, "]");
    if (!entry.entry_id().empty() && entry.entry_id().size() != kEntryIdBytes) {
      return status::FieldError(field + ".entry_id", "must be a UUID of 36 characters, or empty");
    }
    if (entry.action().empty()) {
      return status::FieldError(field + ".action", "must be the method's full name");
    }
    if (entry.result() != v1::AuditEntry::OK && entry.result() != v1::AuditEntry::DENIED &&
        entry.result() != v1::AuditEntry::FAILED) {
      return status::FieldError(field + ".result", "must be OK, DENIED or FAILED");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<audit::AuditQuery> QueryOf(const v1::ListAuditEntriesRequest& request) {
  if (request.page_size() < 0 || request.page_size() > kMaxPageSize) {
    return status::FieldError("page_size",
                              absl::StrCat("must be 1-200, or 0 for 50, is ", request.page_size()));
  }
  for (const auto& [field, value] :
       {std::pair("user", request.user()), std::pair("tenant", request.tenant()),
        std::pair("action", request.action())}) {
    if (absl::Status bad = CheckLength(field, value, audit::kMaxNameBytes); !bad.ok()) return bad;
  }
  audit::AuditQuery out;
  out.user = request.user();
  out.tenant = request.tenant();
  out.action = request.action();
  switch (request.result()) {
    case v1::AuditEntry::RESULT_UNSPECIFIED:
      break;
    case v1::AuditEntry::OK:
      out.result = audit::Result::kOk;
      break;
    case v1::AuditEntry::DENIED:
      out.result = audit::Result::kDenied;
      break;
    case v1::AuditEntry::FAILED:
      out.result = audit::Result::kFailed;
      break;
    default:
      return status::FieldError("result", "must be OK, DENIED or FAILED");
  }
  if (request.has_start_time()) out.start_time = timestamp::ToTime(request.start_time());
  if (request.has_end_time()) out.end_time = timestamp::ToTime(request.end_time());
  if (request.page_size() > 0) out.max_entry_count = request.page_size();
  return out;
}

}  // namespace slipstream::monitoring
