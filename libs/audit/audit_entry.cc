#include "libs/audit/audit_entry.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "libs/audit/redact.h"
#include "libs/status/status.h"

namespace slipstream::audit {
namespace {

std::string Redacted(const std::string& text, size_t max_bytes) {
  // Cut first, so that the work is bounded; redact before the last cut, so that no half secret is
  // left.
  return status::BoundedText(RedactSecrets(status::BoundedText(text, 4 * max_bytes)), max_bytes);
}

}  // namespace

std::string_view ResultName(Result result) {
  switch (result) {
    case Result::kOk:
      return "OK";
    case Result::kDenied:
      return "DENIED";
    case Result::kFailed:
      return "FAILED";
  }
  return "";
}

Result ResultOf(const absl::Status& status) {
  if (status.ok()) return Result::kOk;
  const bool denied = status.code() == absl::StatusCode::kUnauthenticated ||
                      status.code() == absl::StatusCode::kPermissionDenied;
  return denied ? Result::kDenied : Result::kFailed;
}

AuditEntry Sanitized(AuditEntry entry) {
  // From verified tokens and from our own code: bounded alone, so that a user is never masked.
  for (std::string* field : {&entry.entry_id, &entry.user, &entry.tenant, &entry.acting_service,
                             &entry.action, &entry.code, &entry.reason, &entry.service}) {
    *field = status::BoundedText(*field, kMaxNameBytes);
  }
  // From the caller's request.
  for (std::string* field : {&entry.target, &entry.correlation_id, &entry.peer}) {
    *field = Redacted(*field, kMaxNameBytes);
  }
  entry.before = Redacted(entry.before, kMaxStateBytes);
  entry.after = Redacted(entry.after, kMaxStateBytes);
  return entry;
}

AuditEntry Completed(AuditEntry entry, clock::Clock& clock, random::Random& random) {
  entry = Sanitized(std::move(entry));
  if (entry.occurred_at == absl::UnixEpoch()) entry.occurred_at = clock.Now();
  if (entry.entry_id.empty()) entry.entry_id = random::Uuid7(clock, random);
  return entry;
}

std::string ToJsonLine(const AuditEntry& entry) {
  nlohmann::ordered_json line;
  line["time"] = absl::FormatTime("%Y-%m-%d%ET%H:%M:%E6SZ", entry.occurred_at, absl::UTCTimeZone());
  const auto add = [&line](const char* name, std::string_view value) {
    if (!value.empty()) line[name] = value;
  };
  add("entry_id", entry.entry_id);
  add("result", ResultName(entry.result));
  add("code", entry.code);
  add("reason", entry.reason);
  add("user", entry.user);
  add("tenant", entry.tenant);
  add("acting_service", entry.acting_service);
  add("action", entry.action);
  add("target", entry.target);
  add("before", entry.before);
  add("after", entry.after);
  add("correlation_id", entry.correlation_id);
  add("service", entry.service);
  add("peer", entry.peer);
  // `replace`: dump must not throw on bytes that are not UTF-8.
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace slipstream::audit
