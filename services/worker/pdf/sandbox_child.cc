#include "services/worker/pdf/sandbox_child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "services/worker/pdf/landlock.h"

namespace slipstream::worker::pdf {
namespace {

constexpr int kReportFd = 4;  // 0 input, 1 lines, 2 errors, 3 output

[[noreturn]] void Fail(int report_fd, ChildStep step, int error) {
  const ChildReport report{step, error};
  [[maybe_unused]] const ssize_t written = ::write(report_fd, &report, sizeof(report));
  ::_exit(127);
}

void ResetSignals() {
  struct sigaction by_default{};
  by_default.sa_handler = SIG_DFL;
  for (int number = 1; number < 65; ++number) {
    // The C library's wrapper refuses its own two signals, which is what we want.
    ::sigaction(number, &by_default, nullptr);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

bool Limit(int resource, int64_t value) {
  const rlimit limit{static_cast<rlim_t>(value), static_cast<rlim_t>(value)};
  // A lower hard limit that is in force already is as good.
  return ::setrlimit(static_cast<__rlimit_resource>(resource), &limit) == 0 || errno == EPERM;
}

// SIGXCPU first, which tells the parent why; SIGKILL a second later.
bool LimitCpu(int64_t seconds) {
  const rlimit limit{static_cast<rlim_t>(seconds), static_cast<rlim_t>(seconds + 1)};
  return ::setrlimit(RLIMIT_CPU, &limit) == 0 || errno == EPERM;
}

void CloseFrom(unsigned first, int64_t limit) {
  if (::syscall(SYS_close_range, first, ~0U, 0) == 0) return;
  for (int fd = static_cast<int>(first); fd < limit; ++fd) ::close(fd);
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
  ::setpgid(0, 0);
  ResetSignals();
  const int report = plan.report_fd;
  if (::dup2(plan.input_fd, 0) < 0 || ::dup2(plan.lines_fd, 1) < 0 ||
      ::dup2(plan.errors_fd, 2) < 0 || ::dup2(plan.output_fd, 3) < 0) {
    Fail(report, ChildStep::kDescriptors, errno);
  }
  if (plan.become_nobody) {
    // Bare calls: the C library's would signal threads that this process does not have.
    if (::syscall(SYS_setgroups, 0, nullptr) != 0 ||
        ::syscall(SYS_setresgid, kNobody, kNobody, kNobody) != 0 ||
        ::syscall(SYS_setresuid, kNobody, kNobody, kNobody) != 0) {
      Fail(report, ChildStep::kUser, errno);
    }
  }
  const SandboxLimits& limits = plan.limits;
  if (!Limit(RLIMIT_AS, limits.memory_bytes) || !LimitCpu(limits.cpu_seconds) ||
      !Limit(RLIMIT_FSIZE, limits.output_bytes) || !Limit(RLIMIT_NOFILE, limits.open_file_count) ||
      !Limit(RLIMIT_CORE, 0) || !Limit(RLIMIT_NPROC, limits.thread_count) ||
      !Limit(RLIMIT_MEMLOCK, 0) || !Limit(RLIMIT_MSGQUEUE, 0)) {
    Fail(report, ChildStep::kLimits, errno);
  }
  // Cleared by a change of user, so after it. The parent may have died in between.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != plan.parent) Fail(report, ChildStep::kParentDied, 0);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    Fail(report, ChildStep::kNoNewPrivileges, errno);
  }
  if (::chdir(plan.folder) != 0) Fail(report, ChildStep::kFolder, errno);
  if (plan.landlock_fd >= 0) {
    if (const int error = RestrictSelf(plan.landlock_fd); error != 0) {
      Fail(report, ChildStep::kLandlock, error);
    }
  }
  if (::dup2(report, kReportFd) < 0) Fail(report, ChildStep::kDescriptors, errno);
  ::fcntl(kReportFd, F_SETFD, FD_CLOEXEC);
  CloseFrom(kReportFd + 1, 1 << 16);
  for (size_t i = 0; i < plan.own_pid_count; ++i) {
    plan.filter[plan.own_pid_at[i]].k = static_cast<uint32_t>(::getpid());
  }
  const sock_fprog program{plan.filter_length, plan.filter};
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    Fail(kReportFd, ChildStep::kSeccomp, errno);
  }
  ::execve(plan.argv[0], const_cast<char* const*>(plan.argv), const_cast<char* const*>(plan.env));
  Fail(kReportFd, ChildStep::kExec, errno);
}

}  // namespace slipstream::worker::pdf
