#include "services/worker/pdf/sandboxed_process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "libs/sync/deadline.h"
#include "services/worker/pdf/landlock.h"
#include "services/worker/pdf/sandbox_child.h"
#include "services/worker/pdf/seccomp_filter.h"
#include "services/worker/pdf/unique_fd.h"

namespace slipstream::worker::pdf {
namespace {

constexpr size_t kMaxErrorBytes = 8 << 10;
constexpr size_t kMaxLineBytes = 256;

// What an interpreter and fontconfig read. /usr holds programs, libraries and fonts.
constexpr const char* kSystemPaths[] = {"/usr",
                                        "/bin",
                                        "/lib",
                                        "/lib64",
                                        "/etc/fonts",
                                        "/etc/ld.so.cache",
                                        "/etc/ld.so.conf",
                                        "/etc/ld.so.conf.d",
                                        "/etc/localtime",
                                        "/etc/mime.types",
                                        "/var/cache/fontconfig",
                                        "/dev/null",
                                        "/dev/urandom",
                                        "/dev/zero"};

absl::Status SystemError(const char* what, int error) {
  return status::Error(absl::StatusCode::kInternal, "SANDBOX_FAILED",
                       absl::StrCat("The sandbox could not be set up (", what, ": ",
                                    strerror(error), "); see services/worker/pdf/README.md."));
}

// The child may become nobody only if this process can still kill it then.
bool CanChangeUser() {
  if (::geteuid() != 0) return false;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return false;
  constexpr uint32_t kNeeded =
      1u << CAP_CHOWN | 1u << CAP_KILL | 1u << CAP_SETGID | 1u << CAP_SETUID;
  if ((data[0].effective & kNeeded) != kNeeded) return false;
  // In a user namespace that maps only root there is no nobody to become.
  FILE* map = ::fopen("/proc/self/uid_map", "re");
  if (map == nullptr) return false;
  unsigned long inside = 0, outside = 0, count = 0;
  bool mapped = false;
  while (!mapped && ::fscanf(map, "%lu %lu %lu", &inside, &outside, &count) == 3) {
    mapped = inside <= kNobody && kNobody - inside < count;
  }
  ::fclose(map);
  return mapped;
}

// A folder that is removed with all that is in it.
class ScratchFolder {
 public:
  static absl::StatusOr<ScratchFolder> Make(const std::string& parent) {
    std::string path = parent + "/slipstream-pdf-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) return SystemError("mkdtemp", errno);
    return ScratchFolder(std::move(path));
  }
  ScratchFolder(ScratchFolder&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  ScratchFolder& operator=(ScratchFolder&&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;  // the kernel's temporary folders are swept at boot
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  explicit ScratchFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

absl::StatusOr<UniqueFd> MemoryFile(const char* name, std::string_view content) {
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC));
  if (!fd.valid()) return SystemError("memfd_create", errno);
  for (size_t at = 0; at < content.size();) {
    const ssize_t n = ::write(fd.get(), content.data() + at, content.size() - at);
    if (n <= 0) return SystemError("write", errno);
    at += static_cast<size_t>(n);
  }
  ::lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

// The descriptors 0-4 are the child's: ours lie above, so that dup2 overwrites none of them.
absl::StatusOr<UniqueFd> AboveFive(UniqueFd fd) {
  if (fd.get() > 5) return fd;
  UniqueFd moved(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 6));
  if (!moved.valid()) return SystemError("fcntl", errno);
  return moved;
}

struct Pipe {
  UniqueFd read, write;
};
absl::StatusOr<Pipe> MakePipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return SystemError("pipe2", errno);
  UniqueFd read(ends[0]), write(ends[1]);
  auto above = AboveFive(std::move(write));
  if (!above.ok()) return above.status();
  ::fcntl(read.get(), F_SETFL, O_NONBLOCK);
  return Pipe{std::move(read), *std::move(above)};
}

class Run {
 public:
  Run(const SandboxRequest& request, const std::function<void(std::string_view)>& on_line,
      const std::stop_token& cancel)
      : request_(request), on_line_(on_line), cancel_(cancel) {}

  ~Run() {
    if (pid_ > 0) KillAndReap();
  }

  absl::StatusOr<SandboxResult> Do() {
    if (absl::Status started = Start(); !started.ok()) return started;
    if (absl::Status watched = Watch(); !watched.ok()) return watched;
    Drain();
    const siginfo_t ended = KillAndReap();
    if (absl::Status report = ReadReport(); !report.ok()) return report;
    if (ended.si_code == CLD_EXITED) {
      result_.exit_code = ended.si_status;
    } else {
      result_.signal = ended.si_status;
    }
    if (absl::Status read = ReadOutput(); !read.ok()) return read;
    return std::move(result_);
  }

 private:
  absl::Status Start();
  absl::Status Watch();
  void Drain() {
    ReadLines();
    ReadErrors();
  }
  void ReadLines();
  void ReadErrors();
  absl::Status ReadReport();
  absl::Status ReadOutput();

  siginfo_t KillAndReap() {
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);  // it may not have made its group yet
    siginfo_t info{};
    while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | __WALL) != 0 &&
           errno == EINTR) {
    }
    pid_ = -1;
    return info;
  }

  const SandboxRequest& request_;
  const std::function<void(std::string_view)>& on_line_;
  const std::stop_token& cancel_;
  std::optional<ScratchFolder> scratch_;
  UniqueFd input_, output_, pidfd_, landlock_;
  Pipe lines_, errors_, report_;
  std::string partial_line_;
  pid_t pid_ = -1;
  SandboxResult result_;
};

absl::Status Run::Start() {
  auto scratch = ScratchFolder::Make(request_.scratch_parent);
  if (!scratch.ok()) return scratch.status();
  scratch_.emplace(*std::move(scratch));
  const bool become_nobody = CanChangeUser();
  if (become_nobody && ::chown(scratch_->path().c_str(), kNobody, kNobody) != 0) {
    return SystemError("chown", errno);
  }
  result_.unprivileged_user = become_nobody || ::geteuid() != 0;

  auto input = MemoryFile("slipstream-input", request_.input);
  if (!input.ok()) return input.status();
  auto output = MemoryFile("slipstream-output", "");
  if (!output.ok()) return output.status();
  auto input_above = AboveFive(*std::move(input));
  auto output_above = AboveFive(*std::move(output));
  if (!input_above.ok()) return input_above.status();
  if (!output_above.ok()) return output_above.status();
  input_ = *std::move(input_above);
  output_ = *std::move(output_above);
  for (Pipe* pipe : {&lines_, &errors_, &report_}) {
    auto made = MakePipe();
    if (!made.ok()) return made.status();
    *pipe = *std::move(made);
  }

  LandlockRules rules;
  rules.read_paths.assign(std::begin(kSystemPaths), std::end(kSystemPaths));
  rules.read_paths.insert(rules.read_paths.end(), request_.read_paths.begin(),
                          request_.read_paths.end());
  rules.write_paths = {scratch_->path()};
  if (auto ruleset = BuildLandlockRuleset(rules); request_.use_landlock && ruleset.ok()) {
    auto above = AboveFive(*std::move(ruleset));
    if (!above.ok()) return above.status();
    landlock_ = *std::move(above);
    result_.landlock = true;
  }

  std::vector<const char*> argv, env;
  for (const std::string& arg : request_.argv) argv.push_back(arg.c_str());
  argv.push_back(nullptr);
  const std::string home = "HOME=" + scratch_->path(), temp = "TMPDIR=" + scratch_->path(),
                    cache = "XDG_CACHE_HOME=" + scratch_->path();
  env = {home.c_str(),   temp.c_str(),     cache.c_str(),        "PATH=/usr/bin:/bin",
         "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "MALLOC_ARENA_MAX=2", nullptr};

  SeccompFilter filter = BuildSeccompFilter();
  ChildPlan plan{argv.data(),
                 env.data(),
                 scratch_->path().c_str(),
                 input_.get(),
                 lines_.write.get(),
                 errors_.write.get(),
                 output_.get(),
                 report_.write.get(),
                 landlock_.get(),
                 filter.code.data(),
                 static_cast<uint16_t>(filter.code.size()),
                 filter.own_pid_at.data(),
                 filter.own_pid_at.size(),
                 become_nobody,
                 ::getpid(),
                 request_.limits};
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  int pidfd = -1;
  // No exit signal: nobody's SIGCHLD handler or wait(-1) takes our child away.
  const long pid = ::syscall(SYS_clone, CLONE_PIDFD, nullptr, &pidfd, nullptr, nullptr);
  if (pid == 0) RunChild(plan);
  const int clone_error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return SystemError("clone", clone_error);
  pid_ = static_cast<pid_t>(pid);
  pidfd_ = UniqueFd(pidfd);
  for (Pipe* pipe : {&lines_, &errors_, &report_}) pipe->write.reset();
  return absl::OkStatus();
}

absl::Status Run::Watch() {
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return SystemError("eventfd", errno);
  const std::stop_callback on_cancel(cancel_, [&wake] {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake.get(), &one, sizeof(one));
  });
  const sync::Deadline deadline(request_.limits.wall_time);
  for (;;) {
    const int64_t left = absl::ToInt64Milliseconds(deadline.Left());
    if (left <= 0) {
      return status::Error(absl::StatusCode::kDeadlineExceeded, "SANDBOX_TIME_LIMIT",
                           absl::StrCat("The document took longer than ",
                                        absl::FormatDuration(request_.limits.wall_time),
                                        " to print; make it smaller or simpler."));
    }
    pollfd fds[] = {{pidfd_.get(), POLLIN, 0},
                    {wake.get(), POLLIN, 0},
                    {lines_.read.get(), POLLIN, 0},
                    {errors_.read.get(), POLLIN, 0}};
    // A closed pipe would report POLLHUP forever.
    if (!lines_.read.valid()) fds[2].fd = -1;
    if (!errors_.read.valid()) fds[3].fd = -1;
    const int ready = ::poll(fds, 4, static_cast<int>(std::min<int64_t>(left, 60'000)));
    if (ready < 0 && errno != EINTR) return SystemError("poll", errno);
    if (fds[1].revents != 0) {
      return status::Error(absl::StatusCode::kCancelled, "TASK_CANCELLED",
                           "The rendering was cancelled before it was finished.");
    }
    if (fds[2].revents != 0) ReadLines();
    if (fds[3].revents != 0) ReadErrors();
    if (fds[0].revents != 0) return absl::OkStatus();
  }
}

void Run::ReadLines() {
  char buffer[4096];
  while (lines_.read.valid()) {
    const ssize_t n = ::read(lines_.read.get(), buffer, sizeof(buffer));
    if (n < 0) return;
    if (n == 0) return lines_.read.reset();
    for (const char c : std::string_view(buffer, static_cast<size_t>(n))) {
      if (c != '\n') {
        if (partial_line_.size() < kMaxLineBytes) partial_line_ += c;
        continue;
      }
      if (on_line_) on_line_(partial_line_);
      partial_line_.clear();
    }
    if (n < static_cast<ssize_t>(sizeof(buffer))) return;
  }
}

void Run::ReadErrors() {
  char buffer[4096];
  while (errors_.read.valid()) {
    const ssize_t n = ::read(errors_.read.get(), buffer, sizeof(buffer));
    if (n < 0) return;
    if (n == 0) return errors_.read.reset();
    result_.error_text.append(buffer, static_cast<size_t>(n));
    if (result_.error_text.size() > kMaxErrorBytes) {
      result_.error_text.erase(0, result_.error_text.size() - kMaxErrorBytes);
    }
    if (n < static_cast<ssize_t>(sizeof(buffer))) return;
  }
}

absl::Status Run::ReadReport() {
  ChildReport report;
  if (::read(report_.read.get(), &report, sizeof(report)) != sizeof(report)) {
    return absl::OkStatus();  // closed by exec: the program ran
  }
  if (report.step == ChildStep::kExec && (report.error == ENOENT || report.error == EACCES)) {
    return status::Error(absl::StatusCode::kFailedPrecondition, "PROGRAM_MISSING",
                         absl::StrCat(request_.argv[0], " is not installed or not executable: ",
                                      "run tools/setup, or install python3 and weasyprint."));
  }
  return SystemError(Name(report.step), report.error);
}

absl::Status Run::ReadOutput() {
  struct stat info;
  if (::fstat(output_.get(), &info) != 0) return SystemError("fstat", errno);
  if (info.st_size >= request_.limits.output_bytes) {
    result_.output_full = true;
    return absl::OkStatus();
  }
  result_.output.resize(static_cast<size_t>(info.st_size));
  for (size_t at = 0; at < result_.output.size();) {
    const ssize_t n = ::pread(output_.get(), result_.output.data() + at, result_.output.size() - at,
                              static_cast<off_t>(at));
    if (n <= 0) return SystemError("pread", n == 0 ? EIO : errno);
    at += static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SandboxResult> RunSandboxed(const SandboxRequest& request,
                                           const std::function<void(std::string_view)>& on_line,
                                           const std::stop_token& cancel) {
  if (cancel.stop_requested()) {
    return status::Error(absl::StatusCode::kCancelled, "TASK_CANCELLED",
                         "The rendering was cancelled before it began.");
  }
  return Run(request, on_line, cancel).Do();
}

}  // namespace slipstream::worker::pdf
