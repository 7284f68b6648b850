// The child's side of the sandbox: from fork to exec, in bare system calls.
#ifndef SERVICES_WORKER_PDF_SANDBOX_CHILD_H_
#define SERVICES_WORKER_PDF_SANDBOX_CHILD_H_

#include <linux/filter.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "services/worker/pdf/sandboxed_process.h"

namespace slipstream::worker::pdf {

inline constexpr unsigned kNobody = 65534;

// Which step failed; sent to the parent with its errno.
enum class ChildStep : int32_t {
  kDescriptors,
  kUser,
  kLimits,
  kParentDied,
  kNoNewPrivileges,
  kFolder,
  kLandlock,
  kSeccomp,
  kExec,
};
const char* Name(ChildStep step);

struct ChildReport {
  ChildStep step;
  int32_t error;
};

// Everything the child needs, made before the fork: it must not allocate.
struct ChildPlan {
  const char* const* argv;
  const char* const* env;
  const char* folder;
  int input_fd, lines_fd, errors_fd, output_fd, report_fd;  // all above 4
  int landlock_fd;                                          // -1: not available
  sock_filter* filter;
  uint16_t filter_length;
  const size_t* own_pid_at;
  size_t own_pid_count;
  bool become_nobody;
  pid_t parent;
  SandboxLimits limits;
};

// Does not return.
[[noreturn]] void RunChild(const ChildPlan& plan);

}  // namespace slipstream::worker::pdf

#endif  // SERVICES_WORKER_PDF_SANDBOX_CHILD_H_
