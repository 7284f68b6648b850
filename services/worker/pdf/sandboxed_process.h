// Runs one program with bytes in and bytes out, confined: rlimits, no_new_privs, Landlock, seccomp,
// an unprivileged user when the caller is root, a process group of its own, no inherited
// descriptors.
//
// Works as root and as any user, and in pods with a restricted security context: it needs no user
// namespace and no capability. Where the kernel has no Landlock the child runs without it, and
// SandboxResult::landlock says so: it may then read what its user may read, but still has no
// network.
//
// Why fork and not a launcher binary: everything between fork and exec is a bare system call
// prepared by the parent, so one image needs no second binary. The raw clone skips atfork handlers
// (gRPC has some).
//
// Thread safety: Run may be called from several threads; it blocks, so never on an Asio or gRPC
// thread. Real time is used on purpose: it bounds a real process. Errors: INTERNAL (the sandbox
// could not be set up), FAILED_PRECONDITION (the program is not there), CANCELLED,
// DEADLINE_EXCEEDED.
#ifndef SERVICES_WORKER_PDF_SANDBOXED_PROCESS_H_
#define SERVICES_WORKER_PDF_SANDBOXED_PROCESS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace slipstream::worker::pdf {

struct SandboxLimits {
  int64_t memory_bytes = int64_t{1} << 30;  // address space
  int64_t output_bytes = int64_t{64} << 20;
  int64_t cpu_seconds = 120;
  absl::Duration wall_time = absl::Seconds(180);
  int64_t open_file_count = 128;
  int64_t thread_count = 1024;  // of the user, over all its processes
};

struct SandboxRequest {
  std::vector<std::string> argv;        // argv[0] is an absolute path
  std::string_view input;               // on descriptor 0
  std::vector<std::string> read_paths;  // beyond the system's libraries and fonts
  std::string scratch_parent =
      "/tmp";  // the child's only writable folder is made below and removed
  SandboxLimits limits;
  bool use_landlock = true;  // false: run as on a kernel without it (tests)
};

struct SandboxResult {
  std::string output;      // what was written to descriptor 3
  std::string error_text;  // the end of descriptor 2
  int exit_code = 0;       // meaningful when signal is 0
  int signal = 0;
  bool output_full = false;  // output_bytes was reached
  bool landlock = false;
  bool unprivileged_user = false;  // root was given up for nobody, or the caller is not root
};

// `on_line` gets the lines of descriptor 1 as they come, on the calling thread.
absl::StatusOr<SandboxResult> RunSandboxed(const SandboxRequest& request,
                                           const std::function<void(std::string_view)>& on_line,
                                           const std::stop_token& cancel);

}  // namespace slipstream::worker::pdf

#endif  // SERVICES_WORKER_PDF_SANDBOXED_PROCESS_H_
