// A seccomp filter for a child that computes and nothing else.
//
// It refuses (EPERM or EACCES) every socket, new processes, signals to others, ptrace, mounts,
// namespaces, io_uring, kernel modules, keys and the like; a foreign architecture is killed. The
// rest is allowed: the list of calls that an interpreter makes changes with each of its releases.
//
// Thread safety: pure functions. Errors: none; installing is the caller's.
#ifndef SERVICES_WORKER_PDF_SECCOMP_FILTER_H_
#define SERVICES_WORKER_PDF_SECCOMP_FILTER_H_

#include <linux/filter.h>

#include <cstddef>
#include <vector>

namespace slipstream::worker::pdf {

struct SeccompFilter {
  std::vector<sock_filter> code;
  // Instructions whose `k` is the child's own process id, which only the child knows: it writes it
  // there after the fork (signals are allowed to itself alone).
  std::vector<size_t> own_pid_at;
};

SeccompFilter BuildSeccompFilter();

}  // namespace slipstream::worker::pdf

#endif  // SERVICES_WORKER_PDF_SECCOMP_FILTER_H_
