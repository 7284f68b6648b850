// ProcessReader: this process's own CPU, memory, file descriptors, disk and network figures, read
// from /proc (man 5 proc). It knows nothing of metrics: who exports the figures reads them here.
//
// Thread safety: ProcessReader has no state but its path; Read may be called from any thread. It
// reads a few small files of a memory file system (under a millisecond), so it may run on a scrape
// but does not belong on a request's path.
#ifndef SLIPSTREAM_LIBS_PROCESS_PROCESS_READER_H_
#define SLIPSTREAM_LIBS_PROCESS_PROCESS_READER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace slipstream::process {

// What is absent could not be read: hardened containers hide some files (io, most often), and an
// absent figure must not look like a zero. Counters only grow during a process's life.
struct ProcessFigures {
  // /proc/self/stat
  double cpu_user_seconds = 0;
  double cpu_system_seconds = 0;
  int64_t thread_count = 0;
  int64_t virtual_memory_bytes = 0;
  int64_t major_page_fault_count = 0;
  std::optional<absl::Time> start_time;  // with btime of /proc/stat

  // /proc/self/status
  std::optional<int64_t> resident_memory_bytes;
  std::optional<int64_t> resident_memory_peak_bytes;

  // /proc/self/fd and /proc/self/limits
  std::optional<int64_t> open_fd_count;
  std::optional<int64_t> max_fd_count;  // the soft limit; absent when unlimited

  // /proc/self/io: what reached the block layer, not the page cache
  std::optional<int64_t> disk_read_bytes;
  std::optional<int64_t> disk_written_bytes;

  // /proc/self/net/dev: all interfaces but loopback. Linux counts these by network namespace, so
  // they are the process's own only where it has one to itself, as in a pod of one container.
  std::optional<int64_t> network_received_bytes;
  std::optional<int64_t> network_sent_bytes;
};

class ProcessReader {
 public:
  // `proc_path` is where the proc file system is mounted; tests give a recorded one.
  explicit ProcessReader(std::string proc_path = "/proc") : proc_path_(std::move(proc_path)) {}

  // UNAVAILABLE (reason PROC_UNREADABLE) when <proc_path>/self/stat cannot be read or understood;
  // any other file that cannot only leaves its figures out.
  absl::StatusOr<ProcessFigures> Read() const;

 private:
  std::string proc_path_;
};

// The parsers behind it, on the text of one file each. False leaves `figures` as it was.
bool ParseStat(std::string_view text, int64_t ticks_per_second, std::optional<absl::Time> boot_time,
               ProcessFigures& figures);
bool ParseStatus(std::string_view text, ProcessFigures& figures);
bool ParseLimits(std::string_view text, ProcessFigures& figures);
bool ParseIo(std::string_view text, ProcessFigures& figures);
bool ParseNetDev(std::string_view text, ProcessFigures& figures);
std::optional<absl::Time> ParseBootTime(std::string_view text);  // of /proc/stat

}  // namespace slipstream::process

#endif  // SLIPSTREAM_LIBS_PROCESS_PROCESS_READER_H_
