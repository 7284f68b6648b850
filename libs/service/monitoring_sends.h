// The MonitoringReporter's way over gRPC: MonitoringService.RecordRequests and RecordAuditEntries,
// in the process's own name.
//
// Thread safety: the functions may be called from any coroutine.
#ifndef LIBS_SERVICE_MONITORING_SENDS_H_
#define LIBS_SERVICE_MONITORING_SENDS_H_

#include "libs/service/context.h"
#include "libs/service/monitoring_reporter.h"

namespace slipstream::service {

// `peers` must outlive the functions; its address of monitoring is asked for at each batch.
MonitoringSends GrpcMonitoringSends(Peers& peers);

}  // namespace slipstream::service

#endif  // LIBS_SERVICE_MONITORING_SENDS_H_
