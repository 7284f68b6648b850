// What the child may not do, tried by real programs. Runs as root and as any user; as root the
// child is nobody.
#include "services/worker/pdf/sandboxed_process.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

namespace slipstream::worker::pdf {
namespace {

constexpr char kPython[] = "/usr/bin/python3";

// Says "denied N" or "DONE ..." for a Python statement.
std::string Try(const std::string& statement) {
  return "import os,sys,errno,socket,ctypes,signal\n"
         "try:\n  r = " +
         statement +
         "\n  print('DONE', r, flush=True)\n"
         "except OSError as e:\n  print('denied', errno.errorcode[e.errno], flush=True)\n";
}

class SandboxTest : public testing::Test {
 protected:
  absl::StatusOr<SandboxResult> Run(const std::string& code, std::string_view input = "",
                                    std::stop_token cancel = {}) {
    lines_.clear();
    SandboxRequest request;
    request.argv = {kPython, "-I", "-B", "-c", code};
    request.input = input;
    request.limits = limits_;
    request.scratch_parent = scratch_parent_;
    return RunSandboxed(
        request, [this](std::string_view line) { lines_ += std::string(line) + "\n"; }, cancel);
  }

  std::string Lines(const std::string& code) {
    auto result = Run(code);
    EXPECT_TRUE(result.ok()) << result.status();
    if (result.ok()) {
      EXPECT_EQ(result->exit_code, 0) << result->error_text;
      landlock_ = result->landlock;
    }
    return lines_;
  }

  void ExpectNoChildren() {
    errno = 0;
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG | __WALL), -1);
    EXPECT_EQ(errno, ECHILD);
  }

  SandboxLimits limits_;
  std::string scratch_parent_ = "/tmp";
  std::string lines_;
  bool landlock_ = false;
};

TEST_F(SandboxTest, CarriesBytesInAndOut) {
  auto result =
      Run("import os,sys; d=sys.stdin.buffer.read(); os.write(3, d[::-1]); print('a'); print('b')",
          std::string("x\0yz", 4));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output, std::string("zy\0x", 4));
  EXPECT_EQ(lines_, "a\nb\n");
  ExpectNoChildren();
}

TEST_F(SandboxTest, HasNoSocketOfAnyFamily) {
  for (const char* family : {"AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK", "AF_PACKET"}) {
    EXPECT_EQ(Lines(Try(std::string("socket.socket(socket.") + family + ")")), "denied EACCES\n")
        << family;
  }
  EXPECT_EQ(Lines(Try("socket.socketpair()")), "denied EACCES\n");
}

TEST_F(SandboxTest, CannotOpenFilesBeyondTheSystems) {
  char secret[] = "/tmp/slipstream-secret-XXXXXX";
  const int fd = ::mkstemp(secret);
  ASSERT_GE(fd, 0);
  ::fchmod(fd, 0644);
  const std::string read_own = Lines(Try("open('" + std::string(secret) + "').read()"));
  const std::string read_passwd = Lines(Try("open('/etc/passwd').read()"));
  const std::string list = Lines(Try("os.listdir('/')"));
  const std::string environ = Lines(Try("open('/proc/%d/environ' % os.getppid()).read()"));
  const std::string write = Lines(Try("open('/tmp/slipstream-escape','w')"));
  ::close(fd);
  ::unlink(secret);
  if (!landlock_) GTEST_SKIP() << "this kernel has no Landlock";
  for (const std::string& said : {read_own, read_passwd, list, environ, write}) {
    EXPECT_EQ(said, "denied EACCES\n");
  }
}

TEST_F(SandboxTest, CannotTouchOtherProcessesOrTheKernel) {
  const std::string libc =
      "import ctypes,os;l=ctypes.CDLL(None,use_errno=True)\n"
      "def c(*a):\n  r=l.syscall(*a); return (r, ctypes.get_errno())\n";
  EXPECT_EQ(Lines(Try("os.kill(os.getppid(), 0)")), "denied EPERM\n");
  EXPECT_EQ(Lines(Try("os.fork()")), "denied EPERM\n");
  EXPECT_EQ(Lines(Try("os.posix_spawn('/bin/true', ['true'], {})")), "denied EPERM\n");
  EXPECT_EQ(Lines(Try("os.setsid()")), "denied EPERM\n");
  EXPECT_EQ(Lines(libc + "print(c(" + std::to_string(SYS_ptrace) + ", 16, os.getppid(), 0, 0))"),
            "(-1, 1)\n");
  EXPECT_EQ(Lines(libc + "print(c(" + std::to_string(SYS_unshare) + ", 0x10000000))"), "(-1, 1)\n");
  EXPECT_EQ(
      Lines(libc + "print(c(" + std::to_string(SYS_mount) + ", b'a', b'/tmp', b'tmpfs', 0, 0))"),
      "(-1, 1)\n");
  EXPECT_EQ(Lines(libc + "print(c(" + std::to_string(SYS_io_uring_setup) + ", 8, 0))"),
            "(-1, 1)\n");
  EXPECT_EQ(Lines(libc + "print(c(" + std::to_string(SYS_prlimit64) + ", os.getppid(), 7, 0, 0))"),
            "(-1, 1)\n");
#if defined(__x86_64__)
  // The same call by its x32 number.
  EXPECT_EQ(Lines(libc + "print(c(" + std::to_string(SYS_socket | 0x40000000) + ", 2, 1, 0))"),
            "(-1, 38)\n");
#endif
  // What it may: threads, signals to itself.
  EXPECT_EQ(Lines("import "
                  "threading,os\nt=threading.Thread(target=lambda:print('in',flush=True));t.start()"
                  ";t.join()\n"
                  "os.kill(os.getpid(), 0); print('self')"),
            "in\nself\n");
}

TEST_F(SandboxTest, InheritsNeitherDescriptorsNorEnvironment) {
  ::setenv("SLIPSTREAM_TEST_SECRET", "s3cret", 1);
  const int leak = ::open("/etc/passwd", O_RDONLY);  // without CLOEXEC on purpose
  ASSERT_GE(leak, 0);
  EXPECT_EQ(Lines("import os\nprint('SLIPSTREAM_TEST_SECRET' in os.environ)\n"
                  "open_fds=[]\nfor n in range(128):\n  try:\n    os.fstat(n); open_fds.append(n)\n"
                  "  except OSError: pass\nprint(open_fds)"),
            "False\n[0, 1, 2, 3]\n");
  ::close(leak);
}

// Root without the capabilities to give root up stays root, and the result says so.
TEST_F(SandboxTest, RunsUnprivilegedOrSaysThatItCannot) {
  // PR_GET_NO_NEW_PRIVS is 39.
  auto result =
      Run("import os,ctypes\nprint(os.getuid() != 0, ctypes.CDLL(None).prctl(39,0,0,0,0))");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(lines_, result->unprivileged_user ? "True 1\n" : "False 1\n");
  EXPECT_TRUE(result->unprivileged_user || ::geteuid() == 0);
}

TEST_F(SandboxTest, WritesOnlyToItsScratchFolderWhichIsRemoved) {
  char parent[] = "/tmp/slipstream-scratch-XXXXXX";
  ASSERT_NE(::mkdtemp(parent), nullptr);
  ::chmod(parent, 0777);
  scratch_parent_ = parent;
  EXPECT_EQ(Lines("import os\nos.makedirs('a/b'); open('a/b/c','w').write('x'); "
                  "print(os.environ['HOME']==os.getcwd())"),
            "True\n");
  EXPECT_TRUE(std::filesystem::is_empty(parent));
  std::filesystem::remove(parent);
}

TEST_F(SandboxTest, EndsAtItsLimits) {
  limits_.memory_bytes = 256 << 20;
  auto memory = Run("x = bytearray(1 << 30)");
  ASSERT_TRUE(memory.ok());
  EXPECT_NE(memory->error_text.find("MemoryError"), std::string::npos) << memory->error_text;

  limits_.output_bytes = 1 << 20;
  auto output = Run("import os\nb=b'x'*65536\nwhile True: os.write(3,b)");
  ASSERT_TRUE(output.ok());
  EXPECT_TRUE(output->output_full);

  limits_.cpu_seconds = 1;
  auto cpu = Run("while True: pass");
  ASSERT_TRUE(cpu.ok());
  EXPECT_EQ(cpu->signal, SIGXCPU);

  limits_.wall_time = absl::Milliseconds(400);
  EXPECT_EQ(Run("import time; time.sleep(60)").status().code(),
            absl::StatusCode::kDeadlineExceeded);
  ExpectNoChildren();
}

TEST_F(SandboxTest, AFloodOfTextIsBounded) {
  auto result =
      Run("import sys\nfor i in range(200000): sys.stderr.write('e'*100); "
          "\nprint('x'*1000000)\nprint('end')");
  ASSERT_TRUE(result.ok());
  EXPECT_LE(result->error_text.size(), 8u << 10);
  EXPECT_EQ(lines_.substr(lines_.size() - 4), "end\n");
  EXPECT_LT(lines_.size(), 400u);
}

TEST_F(SandboxTest, CancelKillsAtOnceAndLeavesNoZombie) {
  std::stop_source source;
  std::chrono::steady_clock::time_point asked;
  SandboxRequest request;
  request.argv = {kPython, "-I", "-B", "-c",
                  "import signal,time\nsignal.signal(15, signal.SIG_IGN)\nprint('up', "
                  "flush=True)\ntime.sleep(60)"};
  auto result = RunSandboxed(
      request,
      [&](std::string_view) {  // the child says that it is up
        asked = std::chrono::steady_clock::now();
        source.request_stop();
      },
      source.get_token());
  EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - asked, std::chrono::milliseconds(500));
  ExpectNoChildren();
}

TEST_F(SandboxTest, AMissingProgramIsNamed) {
  SandboxRequest request;
  request.argv = {"/usr/bin/no-such-program"};
  const auto result = RunSandboxed(request, nullptr, {});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kFailedPrecondition) << result.status();
  EXPECT_NE(result.status().message().find("no-such-program"), absl::string_view::npos);
  ExpectNoChildren();
}

}  // namespace
}  // namespace slipstream::worker::pdf
