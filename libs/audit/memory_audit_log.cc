#include "libs/audit/memory_audit_log.h"

#include <utility>

namespace slipstream::audit {

MemoryAuditLog::MemoryAuditLog(size_t max_entry_count, clock::Clock& clock, random::Random& random,
                               logging::Logger logger)
    : clock_(clock), random_(random), logger_(std::move(logger)), ring_(max_entry_count) {}

bool MemoryAuditLog::Record(AuditEntry entry) {
  entry = Completed(std::move(entry), clock_, random_);
  {
    sync::MutexLock lock(mu_);
    if (!ring_.Add(entry)) return false;
    ++recorded_total_;
  }
  logger_.Info("audit", {{"entry_id", entry.entry_id},
                         {"result", ResultName(entry.result)},
                         {"reason", entry.reason},
                         {"user", entry.user},
                         {"tenant", entry.tenant},
                         {"acting_service", entry.acting_service},
                         {"action", entry.action},
                         {"target", entry.target},
                         {"before", entry.before},
                         {"after", entry.after},
                         {"correlation_id", entry.correlation_id},
                         {"peer", entry.peer}});
  return true;
}

AuditPage MemoryAuditLog::List(const AuditQuery& query) const {
  sync::MutexLock lock(mu_);
  return ring_.List(query);
}

AuditStats MemoryAuditLog::Stats() const {
  sync::MutexLock lock(mu_);
  return {.recorded_total = recorded_total_};
}

bool MemoryAuditLog::Flush(absl::Duration) { return true; }

}  // namespace slipstream::audit
