// The latest audit entries in memory, oldest dropped first: what every AuditLog reads from.
//
// Thread safety: none; the log that owns it holds its lock.
#ifndef SLIPSTREAM_LIBS_AUDIT_AUDIT_RING_H_
#define SLIPSTREAM_LIBS_AUDIT_AUDIT_RING_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "libs/audit/audit_log.h"

namespace slipstream::audit {

class AuditRing {
 public:
  explicit AuditRing(size_t max_entry_count);

  // False when an entry with this id is held already.
  bool Add(AuditEntry entry);

  // O(entries held) in the worst case: 10,000 by default, tens of microseconds.
  AuditPage List(const AuditQuery& query) const;

 private:
  const size_t max_entry_count_;
  std::deque<AuditEntry> entries_;  // by sequence: entries_[i] has first_sequence_ + i
  uint64_t first_sequence_ = 1;
  absl::flat_hash_set<std::string> ids_;
};

}  // namespace slipstream::audit

#endif  // SLIPSTREAM_LIBS_AUDIT_AUDIT_RING_H_
