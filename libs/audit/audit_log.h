// The audit log: admin calls and denials, appended and never changed.
//
//   log.Record({.user = ..., .action = method, .target = id, .result = audit::ResultOf(status),
//   ...});
//
// Record never fails and never waits for a disk: the call that is audited must not hang because the
// log does. What could not be kept is counted and logged instead. The latest entries are held in
// memory for reading.
//
// Thread safety: all methods may be called from any thread.
#ifndef SLIPSTREAM_LIBS_AUDIT_AUDIT_LOG_H_
#define SLIPSTREAM_LIBS_AUDIT_AUDIT_LOG_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/audit/audit_entry.h"

namespace slipstream::audit {

inline constexpr size_t kMaxPageEntryCount = 200;

// Empty fields match everything.
struct AuditQuery {
  std::string user;
  std::string tenant;
  std::string action;
  std::string correlation_id;
  std::optional<Result> result;
  absl::Time start_time = absl::InfinitePast();  // inclusive
  absl::Time end_time = absl::InfiniteFuture();  // exclusive
  // Continues a listing: only entries recorded before the one with this number. 0: from the latest
  // on.
  uint64_t before_sequence = 0;
  size_t max_entry_count = 50;  // 1 to kMaxPageEntryCount; clamped
};

struct AuditPage {
  std::vector<AuditEntry> entries;  // latest first
  // `before_sequence` of the next page; 0 on the last. Numbers count from 1 in each process.
  uint64_t next_before_sequence = 0;
};

struct AuditStats {
  uint64_t recorded_total = 0;
  uint64_t written_total = 0;  // lines that reached the file
  // Lines that did not: the disk failed or the queue was full. They are in memory all the same.
  uint64_t lost_total = 0;
  uint64_t rotations_total = 0;
  size_t queued_count = 0;
  bool healthy = true;  // false: the last write failed
};

class AuditLog {
 public:
  virtual ~AuditLog() = default;

  // Sanitizes and keeps the entry. An empty entry_id or the epoch as occurred_at is filled in.
  // False when the entry_id is known already: the first one stays.
  virtual bool Record(AuditEntry entry) = 0;

  virtual AuditPage List(const AuditQuery& query) const = 0;
  virtual AuditStats Stats() const = 0;

  // Waits until what was recorded before is on the disk, or lost; false when `timeout` came first.
  // For shutdown and tests; never on a gRPC or Asio thread.
  virtual bool Flush(absl::Duration timeout) = 0;
};

}  // namespace slipstream::audit

#endif  // SLIPSTREAM_LIBS_AUDIT_AUDIT_LOG_H_
