#include "services/worker/pdf/seccomp_filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/syscall.h>

#include <cstdint>

namespace slipstream::worker::pdf {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kArch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArch = AUDIT_ARCH_AARCH64;
#else
#error "the PDF sandbox knows x86_64 and aarch64"
#endif

// Little-endian: the low half of an argument comes first.
constexpr uint32_t ArgLow(int n) {
  return static_cast<uint32_t>(offsetof(seccomp_data, args)) + 8 * static_cast<uint32_t>(n);
}

constexpr int kRefused[] = {
    // New programs of any kind are not needed; threads are (see clone below).
    __NR_tkill,
    __NR_rt_sigqueueinfo,
    __NR_rt_tgsigqueueinfo,
    __NR_pidfd_send_signal,
    __NR_pidfd_open,
    __NR_pidfd_getfd,
    __NR_setsid,
    __NR_setpgid,
    // Looking into or steering other processes.
    __NR_ptrace,
    __NR_process_vm_readv,
    __NR_process_vm_writev,
    __NR_kcmp,
    __NR_process_madvise,
    __NR_perf_event_open,
    __NR_userfaultfd,
    __NR_personality,
    // File systems and namespaces.
    __NR_mount,
    __NR_umount2,
    __NR_pivot_root,
    __NR_chroot,
    __NR_setns,
    __NR_unshare,
    __NR_open_tree,
    __NR_move_mount,
    __NR_fsopen,
    __NR_fsconfig,
    __NR_fsmount,
    __NR_fspick,
    __NR_mount_setattr,
    __NR_quotactl,
    __NR_swapon,
    __NR_swapoff,
    __NR_open_by_handle_at,
    __NR_name_to_handle_at,
    __NR_mknodat,
    __NR_fanotify_init,
    // Ways around this filter, and the kernel itself.
    __NR_io_uring_setup,
    __NR_io_uring_enter,
    __NR_io_uring_register,
    __NR_bpf,
    __NR_add_key,
    __NR_request_key,
    __NR_keyctl,
    __NR_init_module,
    __NR_finit_module,
    __NR_delete_module,
    __NR_kexec_load,
    __NR_reboot,
    __NR_syslog,
    __NR_acct,
    __NR_sethostname,
    __NR_setdomainname,
    __NR_settimeofday,
    __NR_clock_settime,
    __NR_clock_adjtime,
    __NR_adjtimex,
    __NR_vhangup,
    // Becoming someone else.
    __NR_setuid,
    __NR_setgid,
    __NR_setreuid,
    __NR_setregid,
    __NR_setresuid,
    __NR_setresgid,
    __NR_setfsuid,
    __NR_setfsgid,
    __NR_setgroups,
    __NR_capset,
#if defined(__x86_64__)
    __NR_fork,
    __NR_vfork,
    __NR_mknod,
    __NR_iopl,
    __NR_ioperm,
    __NR_modify_ldt,
    __NR_kexec_file_load,
    __NR_uselib,
#endif
};

class Assembler {
 public:
  explicit Assembler(SeccompFilter* out) : out_(out) {}

  void Load(uint32_t offset) { Emit(BPF_LD | BPF_W | BPF_ABS, 0, 0, offset); }
  void Return(uint32_t what) { Emit(BPF_RET | BPF_K, 0, 0, what); }
  void SkipUnlessEqual(uint32_t value, uint8_t skip) {
    Emit(BPF_JMP | BPF_JEQ | BPF_K, 0, skip, value);
  }
  void SkipIfEqual(uint32_t value, uint8_t skip) {
    Emit(BPF_JMP | BPF_JEQ | BPF_K, skip, 0, value);
  }
  void SkipUnlessAnyBit(uint32_t bits, uint8_t skip) {
    Emit(BPF_JMP | BPF_JSET | BPF_K, 0, skip, bits);
  }
  void SkipIfAnyBit(uint32_t bits, uint8_t skip) {
    Emit(BPF_JMP | BPF_JSET | BPF_K, skip, 0, bits);
  }

  void Refuse(int call, int error) {
    SkipUnlessEqual(static_cast<uint32_t>(call), 1);
    Return(SECCOMP_RET_ERRNO | static_cast<uint32_t>(error));
  }

  // Allowed only when the first argument is the process itself.
  void OwnProcessOnly(int call) {
    SkipUnlessEqual(static_cast<uint32_t>(call), 4);
    Load(ArgLow(0));
    out_->own_pid_at.push_back(out_->code.size());
    SkipUnlessEqual(0, 1);
    Return(SECCOMP_RET_ALLOW);
    Return(SECCOMP_RET_ERRNO | EPERM);
  }

 private:
  void Emit(int code, uint8_t jump_true, uint8_t jump_false, uint32_t k) {
    out_->code.push_back({static_cast<uint16_t>(code), jump_true, jump_false, k});
  }
  SeccompFilter* out_;
};

}  // namespace

SeccompFilter BuildSeccompFilter() {
  SeccompFilter filter;
  Assembler a(&filter);
  a.Load(offsetof(seccomp_data, arch));
  a.SkipIfEqual(kArch, 1);
  a.Return(SECCOMP_RET_KILL_PROCESS);
  a.Load(offsetof(seccomp_data, nr));
#if defined(__x86_64__)
  // The x32 ABI has the same architecture and other numbers.
  a.SkipUnlessAnyBit(0x40000000u, 1);
  a.Return(SECCOMP_RET_ERRNO | ENOSYS);
#endif
  a.Refuse(__NR_socket, EACCES);
  a.Refuse(__NR_socketpair, EACCES);
  // glibc falls back to clone, whose flags a filter can read.
  a.Refuse(__NR_clone3, ENOSYS);
  for (const int call : kRefused) a.Refuse(call, EPERM);
  a.OwnProcessOnly(__NR_kill);
  a.OwnProcessOnly(__NR_tgkill);
  // clone: threads only.
  a.SkipUnlessEqual(__NR_clone, 4);
  a.Load(ArgLow(0));
  a.SkipIfAnyBit(CLONE_THREAD, 1);
  a.Return(SECCOMP_RET_ERRNO | EPERM);
  a.Return(SECCOMP_RET_ALLOW);
  // prlimit64: of itself only, written as 0.
  a.SkipUnlessEqual(__NR_prlimit64, 4);
  a.Load(ArgLow(0));
  a.SkipIfEqual(0, 1);
  a.Return(SECCOMP_RET_ERRNO | EPERM);
  a.Return(SECCOMP_RET_ALLOW);
  a.Return(SECCOMP_RET_ALLOW);
  return filter;
}

}  // namespace slipstream::worker::pdf
