// The process's own audit log, of which monitoring gets a copy: GET /api/v1/audit shows the entries
// of all processes. Reading is local.
//
// Thread safety: all methods may be called from any thread.
#ifndef LIBS_SERVICE_FORWARDING_AUDIT_LOG_H_
#define LIBS_SERVICE_FORWARDING_AUDIT_LOG_H_

#include <memory>
#include <utility>

#include "libs/audit/audit_log.h"
#include "libs/clock/clock.h"
#include "libs/random/random.h"
#include "libs/service/monitoring_reporter.h"

namespace slipstream::service {

class ForwardingAuditLog final : public audit::AuditLog {
 public:
  // The references must outlive the log.
  ForwardingAuditLog(std::unique_ptr<audit::AuditLog> local, MonitoringReporter& reporter,
                     clock::Clock& clock, random::Random& random)
      : local_(std::move(local)), reporter_(reporter), clock_(clock), random_(random) {}

  bool Record(audit::AuditEntry entry) override {
    // Completed here, so that both copies have one id.
    entry = audit::Completed(std::move(entry), clock_, random_);
    if (!local_->Record(entry)) return false;
    reporter_.RecordAuditEntry(std::move(entry));
    return true;
  }
  audit::AuditPage List(const audit::AuditQuery& query) const override {
    return local_->List(query);
  }
  audit::AuditStats Stats() const override { return local_->Stats(); }
  bool Flush(absl::Duration timeout) override { return local_->Flush(timeout); }

 private:
  const std::unique_ptr<audit::AuditLog> local_;
  MonitoringReporter& reporter_;
  clock::Clock& clock_;
  random::Random& random_;
};

}  // namespace slipstream::service

#endif  // LIBS_SERVICE_FORWARDING_AUDIT_LOG_H_
