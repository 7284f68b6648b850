// The series every process has of itself, read from /proc at each scrape.
#ifndef LIBS_SERVICE_PROCESS_METRICS_H_
#define LIBS_SERVICE_PROCESS_METRICS_H_

#include "libs/metrics/registry.h"

namespace slipstream::service {

inline constexpr metrics::CounterDef kCpuUserSeconds{"slipstream_process_cpu_user_seconds_total",
                                                     "Processor time in user mode, in seconds."};
inline constexpr metrics::CounterDef kCpuSystemSeconds{
    "slipstream_process_cpu_system_seconds_total", "Processor time in the kernel, in seconds."};
inline constexpr metrics::GaugeDef kThreads{"slipstream_process_threads", "Threads."};
inline constexpr metrics::GaugeDef kResidentBytes{"slipstream_process_resident_memory_bytes",
                                                  "Resident memory, in bytes."};
inline constexpr metrics::GaugeDef kVirtualBytes{"slipstream_process_virtual_memory_bytes",
                                                 "Address space in use, in bytes."};
inline constexpr metrics::GaugeDef kOpenFds{"slipstream_process_open_fds",
                                            "Open file descriptors."};
inline constexpr metrics::GaugeDef kMaxFds{"slipstream_process_max_fds",
                                           "File descriptors that may be open, soft limit."};
inline constexpr metrics::CounterDef kDiskRead{"slipstream_process_disk_read_bytes_total",
                                               "Bytes read from storage."};
inline constexpr metrics::CounterDef kDiskWritten{"slipstream_process_disk_written_bytes_total",
                                                  "Bytes written to storage."};
inline constexpr metrics::CounterDef kNetworkReceived{
    "slipstream_process_network_received_bytes_total",
    "Bytes received by the network namespace, without loopback."};
inline constexpr metrics::CounterDef kNetworkSent{
    "slipstream_process_network_sent_bytes_total",
    "Bytes sent by the network namespace, without loopback."};

metrics::Registry::Registration AddProcessMetrics(metrics::Registry& registry);

}  // namespace slipstream::service

#endif  // LIBS_SERVICE_PROCESS_METRICS_H_
