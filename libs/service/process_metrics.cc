#include "libs/service/process_metrics.h"

#include "libs/process/process_reader.h"

namespace slipstream::service {

metrics::Registry::Registration AddProcessMetrics(metrics::Registry& registry) {
  return registry.AddCollector([reader = process::ProcessReader()](metrics::Samples& out) {
    const auto figures = reader.Read();
    // Unreadable figures are left out of the scrape; a zero would be a wrong figure.
    if (!figures.ok()) return;
    out.Add(kCpuUserSeconds, figures->cpu_user_seconds);
    out.Add(kCpuSystemSeconds, figures->cpu_system_seconds);
    out.Add(kThreads, static_cast<double>(figures->thread_count));
    out.Add(kVirtualBytes, static_cast<double>(figures->virtual_memory_bytes));
    const auto add = [&out](const auto& def, const std::optional<int64_t>& value) {
      if (value) out.Add(def, static_cast<double>(*value));
    };
    add(kResidentBytes, figures->resident_memory_bytes);
    add(kOpenFds, figures->open_fd_count);
    add(kMaxFds, figures->max_fd_count);
    add(kDiskRead, figures->disk_read_bytes);
    add(kDiskWritten, figures->disk_written_bytes);
    add(kNetworkReceived, figures->network_received_bytes);
    add(kNetworkSent, figures->network_sent_bytes);
  });
}

}  // namespace slipstream::service
