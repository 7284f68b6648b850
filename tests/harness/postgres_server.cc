#include "tests/harness/postgres_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/harness/free_port.h"

#ifdef SLIPSTREAM_ASAN
// libpqxx 6.4 loses the result that reports a lost connection (make_result throws before it owns
// it): 2 KB for each connection that a test breaks. Our code holds no PGresult.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:PQmakeEmptyPGresult\n"; }
#endif

namespace slipstream::tests {

namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

constexpr int kMinMajorVersion = 14;
constexpr auto kStartTimeout = std::chrono::seconds(60);
constexpr auto kStopTimeout = std::chrono::seconds(20);
constexpr auto kPoll = std::chrono::milliseconds(10);

// Debian keeps the programs apart by major version.
std::string FindPrograms() {
  int best = 0;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", ignored)) {
    int major = 0;
    if (absl::SimpleAtoi(entry.path().filename().string(), &major) && major >= kMinMajorVersion &&
        fs::exists(entry.path() / "bin/initdb")) {
      best = std::max(best, major);
    }
  }
  return best == 0 ? "" : absl::StrCat("/usr/lib/postgresql/", best, "/bin");
}

const passwd* UnprivilegedUser() {
  const passwd* user = getpwnam("postgres");
  return user != nullptr ? user : getpwnam("nobody");
}

// Starts a program with its output in `log`; it ends when this process does.
pid_t Spawn(std::vector<std::string> arguments, const std::string& log) {
  if (geteuid() == 0) {
    const passwd* user = UnprivilegedUser();
    const std::vector<std::string> as_user = {"/usr/bin/setpriv",
                                              absl::StrCat("--reuid=", user->pw_uid),
                                              absl::StrCat("--regid=", user->pw_gid),
                                              "--clear-groups",
                                              "--pdeathsig=KILL",
                                              "--"};
    arguments.insert(arguments.begin(), as_user.begin(), as_user.end());
  }
  std::vector<char*> argv;
  for (auto& a : arguments) argv.push_back(a.data());
  argv.push_back(nullptr);
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // The test may have blocked or ignored signals that the server needs.
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    signal(SIGPIPE, SIG_DFL);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    if (chdir("/tmp") != 0) _exit(126);
    execv(argv[0], argv.data());
    _exit(127);
  }
  close(out);
  return pid;
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Of /proc/PID/stat what comes after the name: state, parent, ... Empty: there is no such process.
std::vector<std::string> ProcessFields(pid_t pid) {
  const std::string stat = ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return {};
  return absl::StrSplit(stat.substr(name_end + 1), ' ', absl::SkipEmpty());
}

// Not gone, and not a zombie, which holds nothing any more.
bool IsRunning(pid_t pid) {
  const std::vector<std::string> fields = ProcessFields(pid);
  return !fields.empty() && fields[0] != "Z" && fields[0] != "X";
}

}  // namespace

absl::StatusOr<std::unique_ptr<PostgresServer>> PostgresServer::New(PostgresOptions options) {
  std::unique_ptr<PostgresServer> server(new PostgresServer());
  server->options_ = std::move(options);
  server->programs_ = FindPrograms();
  if (server->programs_.empty()) {
    return absl::NotFoundError(
        "no PostgreSQL 14 or later below /usr/lib/postgresql; run tools/setup");
  }
  // Short: a socket's path has at most 107 bytes.
  char folder[] = "/tmp/slip-pg-XXXXXX";
  if (mkdtemp(folder) == nullptr) return absl::InternalError("mkdtemp failed below /tmp");
  server->folder_ = folder;
  if (geteuid() == 0) {
    const passwd* user = UnprivilegedUser();
    if (user == nullptr) return absl::NotFoundError("there is no user postgres or nobody");
    if (chown(folder, user->pw_uid, user->pw_gid) != 0) return absl::InternalError("chown failed");
  }
  return server;
}

absl::StatusOr<std::unique_ptr<PostgresServer>> PostgresServer::Start(PostgresOptions options) {
  auto server = New(std::move(options));
  if (!server.ok()) return server;
  if (absl::Status status = (*server)->Initialize(); !status.ok()) return status;
  if (absl::Status status = (*server)->LaunchOnFreePort(); !status.ok()) return status;
  return server;
}

absl::StatusOr<std::unique_ptr<PostgresServer>> PostgresServer::StartReplica(
    PostgresOptions options) const {
  auto server = New(std::move(options));
  if (!server.ok()) return server;
  if (absl::Status status = (*server)->CopyFrom(port_); !status.ok()) return status;
  if (absl::Status status = (*server)->LaunchOnFreePort(); !status.ok()) return status;
  return server;
}

absl::Status PostgresServer::LaunchOnFreePort() {
  // Somebody may take the port between the look and the start.
  absl::Status status;
  for (int attempt = 0; attempt < 5; ++attempt) {
    port_ = FreePort();
    status = Launch();
    if (status.ok()) return status;
  }
  return status;
}

absl::Status PostgresServer::RunProgram(std::vector<std::string> arguments,
                                        const std::string& log) const {
  const std::string name = arguments.front();
  arguments.front() = programs_ + "/" + name;
  const pid_t pid = Spawn(std::move(arguments), log);
  int status = 0;
  waitpid(pid, &status, 0);
  if (status == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(name, " failed: ", ReadFile(log)));
}

absl::Status PostgresServer::Initialize() {
  return RunProgram({"initdb", "--pgdata=" + folder_ + "/data", "--username=postgres",
                     "--auth=trust", "--no-sync", "--locale=C", "--encoding=UTF8"},
                    folder_ + "/log");
}

absl::Status PostgresServer::CopyFrom(int primary_port) {
  const std::string primary = absl::StrCat("host=127.0.0.1 port=", primary_port, " user=postgres");
  absl::Status status =
      RunProgram({"pg_basebackup", "--pgdata=" + folder_ + "/data", "--dbname=" + primary,
                  "--wal-method=stream", "--checkpoint=fast", "--no-sync"},
                 folder_ + "/log");
  if (!status.ok()) return status;
  // An empty file is what makes it a replica.
  std::ofstream(folder_ + "/data/standby.signal").close();
  primary_ = primary;
  return absl::OkStatus();
}

absl::Status PostgresServer::Promote() {
  return RunProgram({"pg_ctl", "promote", "--pgdata=" + folder_ + "/data", "--wait"},
                    folder_ + "/promote.log");
}

absl::StatusOr<std::string> PostgresServer::Sql(const std::string& sql) const {
  const std::string output = folder_ + "/psql.log";
  std::error_code ignored;
  fs::remove(output, ignored);
  absl::Status status =
      RunProgram({"psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align",
                  "--set=ON_ERROR_STOP=1", "--dbname=" + url(), "--command=" + sql},
                 output);
  if (!status.ok()) return status;
  std::string out = ReadFile(output);
  while (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

absl::Status PostgresServer::Launch() {
  std::vector<std::string> arguments = {programs_ + "/postgres",
                                        "-D",
                                        folder_ + "/data",
                                        "-p",
                                        absl::StrCat(port_),
                                        "-h",
                                        "127.0.0.1",
                                        "-k",
                                        folder_};
  std::vector<std::string> settings = {"fsync=off", "max_connections=50", "shared_buffers=16MB"};
  if (!primary_.empty()) {
    settings.push_back(
        absl::StrCat("primary_conninfo=", primary_, " application_name=replica_", port_));
    // Looks for its primary again soon after it was away.
    settings.push_back("wal_retrieve_retry_interval=100ms");
  }
  settings.insert(settings.end(), options_.settings.begin(), options_.settings.end());
  for (const auto& setting : settings) {
    arguments.push_back("-c");
    arguments.push_back(setting);
  }
  const std::string pid_file = folder_ + "/data/postmaster.pid";
  std::error_code ignored;
  fs::remove(pid_file, ignored);  // left by Kill
  pid_ = Spawn(std::move(arguments), folder_ + "/log");
  const auto deadline = steady_clock::now() + kStartTimeout;
  while (steady_clock::now() < deadline) {
    // Line 8 of the file is the server's own word on its state.
    const std::vector<std::string> lines = absl::StrSplit(ReadFile(pid_file), '\n');
    if (lines.size() >= 8 && lines[7].rfind("ready", 0) == 0) return absl::OkStatus();
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return absl::InternalError("the server ended: " + LogTail());
    }
    std::this_thread::sleep_for(kPoll);
  }
  Kill();
  return absl::DeadlineExceededError("the server did not start: " + LogTail());
}

PostgresServer::~PostgresServer() {
  if (pid_ > 0) {
    Resume();
    kill(pid_, SIGINT);  // fast shutdown
    const auto deadline = steady_clock::now() + kStopTimeout;
    int status = 0;
    while (waitpid(pid_, &status, WNOHANG) == 0) {
      if (steady_clock::now() > deadline) {
        Kill();
        break;
      }
      std::this_thread::sleep_for(kPoll);
    }
  }
  std::error_code ignored;
  if (!folder_.empty()) fs::remove_all(folder_, ignored);
}

std::string PostgresServer::url() const {
  return absl::StrCat("postgresql://postgres@127.0.0.1:", port_, "/postgres");
}

// The server first, so that it starts no further child after a stop.
std::vector<pid_t> PostgresServer::Processes() const {
  std::vector<pid_t> pids = {pid_};
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid)) continue;
    const std::vector<std::string> fields = ProcessFields(pid);
    pid_t parent = 0;
    if (fields.size() > 1 && absl::SimpleAtoi(fields[1], &parent) && parent == pid_) {
      pids.push_back(pid);
    }
  }
  return pids;
}

void PostgresServer::Signal(int signal_number) const {
  if (pid_ <= 0) return;
  for (const pid_t pid : Processes()) kill(pid, signal_number);
}

void PostgresServer::Pause() {
  if (pid_ <= 0) return;
  kill(pid_, SIGSTOP);
  Signal(SIGSTOP);
}

void PostgresServer::Resume() { Signal(SIGCONT); }

void PostgresServer::Kill() {
  if (pid_ <= 0) return;
  Pause();
  const std::vector<pid_t> processes = Processes();
  for (const pid_t pid : processes) kill(pid, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
  // A child that is still ending holds the data folder's shared memory, and no server starts there
  // meanwhile.
  const auto deadline = steady_clock::now() + kStopTimeout;
  for (const pid_t pid : processes) {
    while (IsRunning(pid) && steady_clock::now() < deadline) std::this_thread::sleep_for(kPoll);
  }
}

absl::Status PostgresServer::Restart() {
  Kill();
  return Launch();
}

std::string PostgresServer::LogTail() const {
  constexpr size_t kTailBytes = 2000;
  const std::string log = ReadFile(folder_ + "/log");
  return log.substr(log.size() > kTailBytes ? log.size() - kTailBytes : 0);
}

}  // namespace slipstream::tests
