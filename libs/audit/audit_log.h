// The append-only log of admin calls and denials: who did what to which thing, and what came of it.
//
// Implementations never block the call for long and never lose silently: an entry that cannot be
// written is logged and counted.
//
// Thread safety: all methods from any thread.
#ifndef SLIPSTREAM_LIBS_AUDIT_AUDIT_LOG_H_
#define SLIPSTREAM_LIBS_AUDIT_AUDIT_LOG_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/metrics/registry.h"

namespace slipstream::audit {

struct AuditEntry {
  absl::Time time;
  std::string who;             // the principal's user; empty: nobody was signed in
  std::string acting_service;  // the service that acted for them, or empty
  std::string tenant;
  std::string method;  // "slipstream.cache.v1.CacheService/Clear"
  std::string target;  // what was acted on, as the handler names it
  std::string code;    // "OK", "PERMISSION_DENIED", ...
  std::string reason;  // of the error, or empty
  std::string before;  // bounded text, never a secret
  std::string after;
  std::string correlation_id;
  std::string peer;
};

class AuditLog {
 public:
  virtual ~AuditLog() = default;
  virtual void Append(const AuditEntry& entry) = 0;
  // The newest entries first, at most `max_count`, from memory.
  virtual std::vector<AuditEntry> Recent(size_t max_count) const = 0;
};

struct AuditOptions {
  // Appended to, one JSON object a line, mode 0600. Empty: to the process's own log.
  std::string path;
  size_t memory_entries_count = 10000;
};

// UNAVAILABLE when the file cannot be opened for appending. All references outlive the log.
absl::StatusOr<std::unique_ptr<AuditLog>> OpenAuditLog(AuditOptions options,
                                                       const clock::Clock& clock,
                                                       logging::Logger logger,
                                                       metrics::Registry& metrics);

}  // namespace slipstream::audit

#endif  // SLIPSTREAM_LIBS_AUDIT_AUDIT_LOG_H_
