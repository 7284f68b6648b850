// The audit log of a process without an audit file: entries go to the process's own log and stay in
// memory until it ends. For the embedded default and for tests.
//
// Thread safety: all methods may be called from any thread.
#ifndef SLIPSTREAM_LIBS_AUDIT_MEMORY_AUDIT_LOG_H_
#define SLIPSTREAM_LIBS_AUDIT_MEMORY_AUDIT_LOG_H_

#include "absl/base/thread_annotations.h"
#include "libs/audit/audit_log.h"
#include "libs/audit/audit_ring.h"
#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/random/random.h"
#include "libs/sync/mutex.h"

namespace slipstream::audit {

class MemoryAuditLog final : public AuditLog {
 public:
  // `clock` and `random` must outlive the log.
  MemoryAuditLog(size_t max_entry_count, clock::Clock& clock, random::Random& random,
                 logging::Logger logger = {});

  bool Record(AuditEntry entry) override;
  AuditPage List(const AuditQuery& query) const override;
  AuditStats Stats() const override;
  bool Flush(absl::Duration timeout) override;

 private:
  clock::Clock& clock_;
  random::Random& random_;
  const logging::Logger logger_;
  mutable sync::Mutex mu_;
  AuditRing ring_ ABSL_GUARDED_BY(mu_);
  uint64_t recorded_total_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace slipstream::audit

#endif  // SLIPSTREAM_LIBS_AUDIT_MEMORY_AUDIT_LOG_H_
