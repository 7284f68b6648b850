// One line of the audit log: an admin call or a denial - who did what to what, and how it went.
//
// Thread safety: plain values.
#ifndef SLIPSTREAM_LIBS_AUDIT_AUDIT_ENTRY_H_
#define SLIPSTREAM_LIBS_AUDIT_AUDIT_ENTRY_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/clock/clock.h"
#include "libs/random/random.h"

namespace slipstream::audit {

inline constexpr size_t kMaxNameBytes = 255;    // every field but the two below
inline constexpr size_t kMaxStateBytes = 1000;  // before, after

enum class Result { kOk, kDenied, kFailed };

// "OK", "DENIED", "FAILED".
std::string_view ResultName(Result result);

// OK; DENIED for UNAUTHENTICATED and PERMISSION_DENIED; FAILED for every other code.
Result ResultOf(const absl::Status& status);

struct AuditEntry {
  // UUID version 7. Recording the same id twice keeps one.
  std::string entry_id;
  absl::Time occurred_at = absl::UnixEpoch();
  std::string user;            // `sub` of the token; empty without a valid one
  std::string tenant;          // may be empty
  std::string acting_service;  // who acted in the user's name; mostly empty
  std::string action;          // full method name: slipstream.cache.v1.CacheService/Clear
  std::string target;          // what it was done to: a task id, a key pattern
  std::string before;  // state before and after, as short text; empty when it does not apply
  std::string after;
  Result result = Result::kOk;
  std::string code;    // gRPC status code by name; empty for OK
  std::string reason;  // ErrorInfo reason; empty for OK
  std::string correlation_id;
  std::string service;  // which service wrote the entry
  std::string peer;     // network address of the caller

  bool operator==(const AuditEntry&) const = default;
};

// The entry as it may be kept: each field cut at its bound and valid UTF-8, and in what comes from
// the request (target, before, after, correlation_id, peer) *** for what looks like a secret:
// tokens, passwords, keys, credentials in URLs. Callers do not put secrets in; this is the second
// line of defence.
AuditEntry Sanitized(AuditEntry entry);

// Sanitized, and with an id and a time when it came without.
AuditEntry Completed(AuditEntry entry, clock::Clock& clock, random::Random& random);

// The entry as one line of JSON with its newline. Empty fields are left out. At most kMaxLineBytes:
// control characters are escaped, so no field can start a line of its own.
std::string ToJsonLine(const AuditEntry& entry);

// 12 short fields, 2 long ones, each byte at worst escaped as \u00XX, and names.
inline constexpr size_t kMaxLineBytes = (12 * kMaxNameBytes + 2 * kMaxStateBytes) * 6 + 1024;

}  // namespace slipstream::audit

#endif  // SLIPSTREAM_LIBS_AUDIT_AUDIT_ENTRY_H_
