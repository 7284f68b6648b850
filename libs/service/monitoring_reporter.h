// Tells monitoring what this process did: finished requests and audit entries. One per process.
//
// Reporting never waits and never fails: reports are queued within bounds and sent every half
// second (see report_queue.h for what happens when monitoring is away).
//
// Thread safety: RecordRequest and RecordAuditEntry from any thread, at any time between the
// constructor and the destructor. Start and Stop by the owner; Stop blocks for at most about 2 s.
#ifndef LIBS_SERVICE_MONITORING_REPORTER_H_
#define LIBS_SERVICE_MONITORING_REPORTER_H_

#include <optional>
#include <string>

#include "absl/time/time.h"
#include "libs/async/scope.h"
#include "libs/audit/audit_entry.h"
#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/metrics/registry.h"
#include "libs/service/report_queue.h"

namespace slipstream::service {

inline constexpr size_t kMaxQueuedRequestsCount = 10'000;
inline constexpr size_t kMaxQueuedEntriesCount = 2'000;
// What RecordRequests takes at once; entries are larger, and a message has a bound of its own.
inline constexpr size_t kMaxRequestBatchCount = 1'000;
inline constexpr size_t kMaxEntryBatchCount = 100;

struct FinishedRequest {
  std::string service;  // 1-64 bytes
  std::string route;    // 1-255 bytes: a template or a method's name, never a path with ids
  int http_status = 0;  // 100-599
  absl::Duration duration;
  absl::Time finished_at;
};

// The way to monitoring; a test has its own.
struct MonitoringSends {
  SendBatch<FinishedRequest> requests;
  SendBatch<audit::AuditEntry> entries;
};

class MonitoringReporter {
 public:
  // `clock` and `metrics` must outlive the reporter.
  MonitoringReporter(MonitoringSends sends, const clock::Clock& clock, metrics::Registry& metrics,
                     const logging::Logger& logger);
  ~MonitoringReporter() { Stop(); }

  // From now on what is queued is sent, by coroutines on `executor`.
  void Start(Executor executor);
  // Tries for a second to send what is left. REQUIRES: the executor still runs.
  void Stop();

  void RecordRequest(FinishedRequest request) { requests_.Push(std::move(request)); }
  // REQUIRES: the entry has its id, so that it is kept once however often it is sent.
  void RecordAuditEntry(audit::AuditEntry entry) { entries_.Push(std::move(entry)); }

 private:
  Async<void> Loop(async::Scope& scope);

  const clock::Clock& clock_;
  ReportQueue<FinishedRequest> requests_;
  ReportQueue<audit::AuditEntry> entries_;
  std::optional<async::Scope> scope_;
};

}  // namespace slipstream::service

#endif  // LIBS_SERVICE_MONITORING_REPORTER_H_
