// Every call here is a bare one: the C library's and a sanitizer's wrappers may take locks that
// another thread of the parent held at the fork, or allocate below the new memory limit.
#include "services/worker/pdf/sandbox_child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace slipstream::worker::pdf {
namespace {

constexpr int kReportFd = 4;  // 0 input, 1 lines, 2 errors, 3 output

[[noreturn]] void Fail(int report_fd, ChildStep step, int error) {
  const ChildReport report{step, error};
  ::syscall(SYS_write, report_fd, &report, sizeof(report));
  for (;;) ::syscall(SYS_exit_group, 127);
}

bool MoveTo(int from, int to, int flags) { return ::syscall(SYS_dup3, from, to, flags) >= 0; }

void ResetSignals() {
  // The kernel's struct sigaction of zeros is SIG_DFL, whatever its layout.
  static constexpr unsigned char kDefault[64] = {};
  constexpr size_t kMaskBytes = 8;
  for (int number = 1; number <= 64; ++number) {
    ::syscall(SYS_rt_sigaction, number, kDefault, nullptr, kMaskBytes);
  }
  const uint64_t none = 0;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, kMaskBytes);
}

bool LimitBetween(int resource, int64_t soft, int64_t hard) {
  const uint64_t limit[2] = {static_cast<uint64_t>(soft), static_cast<uint64_t>(hard)};
  // A lower hard limit that is in force already is as good.
  return ::syscall(SYS_prlimit64, 0, resource, limit, nullptr) == 0 || errno == EPERM;
}
bool Limit(int resource, int64_t value) { return LimitBetween(resource, value, value); }

void CloseFrom(unsigned first, unsigned limit) {
  if (::syscall(SYS_close_range, first, ~0U, 0) == 0) return;
  for (unsigned fd = first; fd < limit; ++fd) ::syscall(SYS_close, fd);
}

}  // namespace

const char* Name(ChildStep step) {
  switch (step) {
    case ChildStep::kDescriptors:
      return "descriptors";
    case ChildStep::kUser:
      return "user";
    case ChildStep::kLimits:
      return "limits";
    case ChildStep::kParentDied:
      return "parent died";
    case ChildStep::kNoNewPrivileges:
      return "no_new_privs";
    case ChildStep::kFolder:
      return "scratch folder";
    case ChildStep::kLandlock:
      return "landlock";
    case ChildStep::kSeccomp:
      return "seccomp";
    case ChildStep::kExec:
      return "exec";
  }
  return "unknown";
}

void RunChild(const ChildPlan& plan) {
  ::syscall(SYS_setpgid, 0, 0);
  ResetSignals();
  const int report = plan.report_fd;
  if (!MoveTo(plan.input_fd, 0, 0) || !MoveTo(plan.lines_fd, 1, 0) ||
      !MoveTo(plan.errors_fd, 2, 0) || !MoveTo(plan.output_fd, 3, 0)) {
    Fail(report, ChildStep::kDescriptors, errno);
  }
  if (plan.become_nobody && (::syscall(SYS_setgroups, 0, nullptr) != 0 ||
                             ::syscall(SYS_setresgid, kNobody, kNobody, kNobody) != 0 ||
                             ::syscall(SYS_setresuid, kNobody, kNobody, kNobody) != 0)) {
    Fail(report, ChildStep::kUser, errno);
  }
  // Cleared by a change of user, so after it. The parent may have died in between.
  ::syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (::syscall(SYS_getppid) != plan.parent) Fail(report, ChildStep::kParentDied, 0);
  if (::syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    Fail(report, ChildStep::kNoNewPrivileges, errno);
  }
  if (::syscall(SYS_chdir, plan.folder) != 0) Fail(report, ChildStep::kFolder, errno);
  if (plan.landlock_fd >= 0 && ::syscall(SYS_landlock_restrict_self, plan.landlock_fd, 0) != 0) {
    Fail(report, ChildStep::kLandlock, errno);
  }
  if (!MoveTo(report, kReportFd, O_CLOEXEC)) Fail(report, ChildStep::kDescriptors, errno);
  CloseFrom(kReportFd + 1, 1 << 16);
  const SandboxLimits& limits = plan.limits;
  // CPU time: SIGXCPU first, which tells the parent why; SIGKILL a second later.
  if (!Limit(RLIMIT_AS, limits.memory_bytes) || !Limit(RLIMIT_FSIZE, limits.output_bytes) ||
      !LimitBetween(RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + 1) ||
      !Limit(RLIMIT_NOFILE, limits.open_file_count) || !Limit(RLIMIT_CORE, 0) ||
      !Limit(RLIMIT_NPROC, limits.thread_count) || !Limit(RLIMIT_MEMLOCK, 0) ||
      !Limit(RLIMIT_MSGQUEUE, 0)) {
    Fail(kReportFd, ChildStep::kLimits, errno);
  }
  const auto own_pid = static_cast<uint32_t>(::syscall(SYS_getpid));
  for (size_t i = 0; i < plan.own_pid_count; ++i) plan.filter[plan.own_pid_at[i]].k = own_pid;
  const sock_fprog program{plan.filter_length, plan.filter};
  if (::syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) {
    Fail(kReportFd, ChildStep::kSeccomp, errno);
  }
  ::syscall(SYS_execve, plan.argv[0], plan.argv, plan.env);
  Fail(kReportFd, ChildStep::kExec, errno);
}

}  // namespace slipstream::worker::pdf
