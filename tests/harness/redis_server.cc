#include "tests/harness/redis_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "tests/harness/free_port.h"

namespace slipstream::tests {

namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

constexpr const char* kServer = "/usr/bin/redis-server";
constexpr const char* kCli = "/usr/bin/redis-cli";
constexpr const char* kOpenssl = "/usr/bin/openssl";
constexpr auto kStartTimeout = std::chrono::seconds(60);
constexpr auto kStopTimeout = std::chrono::seconds(20);
constexpr auto kPoll = std::chrono::milliseconds(5);
constexpr int kSlotsCount = 16384;

// Starts a program with its output in `log`; it ends when this thread does.
pid_t Spawn(std::vector<std::string> arguments, const std::string& log) {
  std::vector<char*> argv;
  for (auto& a : arguments) argv.push_back(a.data());
  argv.push_back(nullptr);
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(125);
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

// A descriptor that holds the folder's lock until it is closed; -1 when somebody else holds it.
int LockFolder(const std::string& folder, int flags) {
  const int fd = open((folder + "/lock").c_str(), O_RDWR | O_CLOEXEC | flags, 0644);
  if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  close(fd);
  return -1;
}

// Those of tests that ended without destructors: their locks ended with them.
void RemoveAbandonedFolders() {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/tmp", ignored)) {
    if (!absl::StartsWith(entry.path().filename().string(), "slip-redis-")) continue;
    const int lock = LockFolder(entry.path().string(), 0);
    if (lock < 0) continue;
    fs::remove_all(entry.path(), ignored);
    close(lock);
  }
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

absl::StatusOr<std::string> Run(std::vector<std::string> arguments, const std::string& log) {
  const pid_t pid = Spawn(std::move(arguments), log);
  int status = 0;
  waitpid(pid, &status, 0);
  std::string out = ReadFile(log);
  if (status != 0) return absl::InternalError(out);
  return out;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RedisServer>> RedisServer::Start(RedisOptions options) {
  std::unique_ptr<RedisServer> server(new RedisServer());
  server->options_ = std::move(options);
  if (!fs::exists(kServer)) {
    return absl::NotFoundError(absl::StrCat("there is no ", kServer, "; run tools/setup"));
  }
  RemoveAbandonedFolders();
  char folder[] = "/tmp/slip-redis-XXXXXX";
  if (mkdtemp(folder) == nullptr) return absl::InternalError("mkdtemp failed below /tmp");
  server->folder_ = folder;
  server->folder_lock_ = LockFolder(folder, O_CREAT);
  if (server->options_.tls) {
    if (absl::Status status = server->MakeCertificates(); !status.ok()) return status;
  }
  // Somebody may take the port between the look and the start.
  absl::Status status;
  for (int attempt = 0; attempt < 5; ++attempt) {
    server->port_ = FreePort();
    if (server->options_.cluster) server->bus_port_ = FreePort();
    status = server->WriteConfig();
    if (status.ok()) status = server->Launch();
    if (status.ok()) return server;
  }
  return status;
}

absl::Status RedisServer::MakeCertificates() {
  std::ofstream(folder_ + "/san") << "subjectAltName=IP:127.0.0.1,DNS:localhost\n";
  const auto in = [this](const char* name) { return absl::StrCat(folder_, "/", name); };
  const std::vector<std::vector<std::string>> steps = {
      {kOpenssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
       "/CN=test authority", "-keyout", in("ca.key"), "-out", in("ca.crt")},
      {kOpenssl, "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=redis", "-keyout",
       in("redis.key"), "-out", in("redis.csr")},
      {kOpenssl, "x509", "-req", "-in", in("redis.csr"), "-CA", in("ca.crt"), "-CAkey",
       in("ca.key"), "-CAcreateserial", "-days", "2", "-extfile", in("san"), "-out",
       in("redis.crt")},
  };
  for (const auto& step : steps) {
    if (auto made = Run(step, folder_ + "/openssl.log"); !made.ok()) return made.status();
  }
  return absl::OkStatus();
}

absl::Status RedisServer::WriteConfig() const {
  std::vector<std::string> lines = {"bind 127.0.0.1", "protected-mode no", "daemonize no",
                                    absl::StrCat("dir ", folder_)};
  if (options_.tls) {
    for (const char* line : {"port 0", "tls-auth-clients no", "tls-replication yes"}) {
      lines.push_back(line);
    }
    lines.push_back(absl::StrCat("tls-port ", port_));
    lines.push_back(absl::StrCat("tls-cert-file ", folder_, "/redis.crt"));
    lines.push_back(absl::StrCat("tls-key-file ", folder_, "/redis.key"));
    lines.push_back(absl::StrCat("tls-ca-cert-file ", folder_, "/ca.crt"));
  } else {
    lines.push_back(absl::StrCat("port ", port_));
  }
  if (!options_.password.empty()) {
    lines.push_back(absl::StrCat("requirepass ", options_.password));
    if (!options_.sentinel) lines.push_back(absl::StrCat("masterauth ", options_.password));
  }
  if (options_.cluster) {
    lines.push_back("cluster-enabled yes");
    lines.push_back(absl::StrCat("cluster-port ", bus_port_));
    lines.push_back("cluster-node-timeout 2000");
    // A dead node's slots must not take the others' down.
    lines.push_back("cluster-require-full-coverage no");
    if (options_.tls) lines.push_back("tls-cluster yes");
  }
  if (!options_.sentinel) lines.push_back("save \"\"");
  lines.insert(lines.end(), options_.settings.begin(), options_.settings.end());
  std::ofstream out(folder_ + "/redis.conf");
  out << absl::StrJoin(lines, "\n") << "\n";
  out.close();
  return out ? absl::OkStatus() : absl::InternalError("cannot write redis.conf");
}

absl::Status RedisServer::Launch() {
  std::vector<std::string> arguments = {kServer, folder_ + "/redis.conf"};
  if (options_.sentinel) arguments.push_back("--sentinel");
  pid_ = Spawn(std::move(arguments), folder_ + "/log");
  const char* const ready = options_.sentinel ? "Sentinel ID is" : "Ready to accept connections";
  const auto deadline = steady_clock::now() + kStartTimeout;
  while (steady_clock::now() < deadline) {
    if (absl::StrContains(Log(), ready)) return absl::OkStatus();
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

RedisServer::~RedisServer() {
  Kill();
  std::error_code ignored;
  if (!folder_.empty()) fs::remove_all(folder_, ignored);
  if (folder_lock_ >= 0) close(folder_lock_);
}

std::string RedisServer::address() const { return absl::StrCat("127.0.0.1:", port_); }

std::string RedisServer::url() const {
  return absl::StrCat(options_.tls ? "rediss" : "redis", options_.sentinel ? "+sentinel" : "",
                      "://", options_.password.empty() ? "" : ":", options_.password,
                      options_.password.empty() ? "" : "@", address());
}

void RedisServer::Pause() {
  if (pid_ > 0) kill(pid_, SIGSTOP);
}

void RedisServer::Resume() {
  if (pid_ > 0) kill(pid_, SIGCONT);
}

void RedisServer::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void RedisServer::Stop() {
  if (pid_ <= 0) return;
  Resume();
  kill(pid_, SIGTERM);
  const auto deadline = steady_clock::now() + kStopTimeout;
  while (waitpid(pid_, nullptr, WNOHANG) == 0) {
    if (steady_clock::now() > deadline) return Kill();
    std::this_thread::sleep_for(kPoll);
  }
  pid_ = -1;
}

absl::Status RedisServer::Restart() {
  Kill();
  return Launch();
}

absl::StatusOr<std::string> RedisServer::Cli(const std::vector<std::string>& arguments) const {
  std::vector<std::string> words = {kCli, "-h", "127.0.0.1", "-p", absl::StrCat(port_), "-e"};
  if (options_.tls) words.insert(words.end(), {"--tls", "--cacert", ca_file()});
  if (!options_.password.empty()) {
    words.insert(words.end(), {"--no-auth-warning", "-a", options_.password});
  }
  words.insert(words.end(), arguments.begin(), arguments.end());
  auto out = Run(std::move(words), folder_ + "/cli");
  if (!out.ok()) return out.status();
  return std::string(absl::StripSuffix(*out, "\n"));
}

std::string RedisServer::Log() const { return ReadFile(folder_ + "/log"); }

std::string RedisServer::LogTail() const {
  constexpr size_t kTailBytes = 2000;
  const std::string log = Log();
  return log.substr(log.size() > kTailBytes ? log.size() - kTailBytes : 0);
}

absl::StatusOr<std::unique_ptr<RedisCluster>> RedisCluster::Start(int nodes_count,
                                                                  RedisOptions options) {
  options.cluster = true;
  auto cluster = std::make_unique<RedisCluster>();
  for (int i = 0; i < nodes_count; ++i) {
    auto node = RedisServer::Start(options);
    if (!node.ok()) return node.status();
    cluster->nodes_.push_back(*std::move(node));
  }
  if (absl::Status status = cluster->Join(); !status.ok()) return status;
  return cluster;
}

absl::Status RedisCluster::Join() {
  for (int i = 0; i < size(); ++i) {
    const int first = kSlotsCount * i / size();
    const int last = kSlotsCount * (i + 1) / size() - 1;
    auto added = node(i).Cli({"CLUSTER", "ADDSLOTSRANGE", absl::StrCat(first), absl::StrCat(last)});
    if (!added.ok()) return added.status();
    // Two nodes with one epoch would take a while to settle it.
    auto epoch = node(i).Cli({"CLUSTER", "SET-CONFIG-EPOCH", absl::StrCat(i + 1)});
    if (!epoch.ok()) return epoch.status();
    auto met = node(0).Cli({"CLUSTER", "MEET", "127.0.0.1", absl::StrCat(node(i).port()),
                            absl::StrCat(node(i).bus_port())});
    if (!met.ok()) return met.status();
  }
  const auto deadline = steady_clock::now() + kStartTimeout;
  for (int i = 0; i < size();) {
    auto info = node(i).Cli({"CLUSTER", "INFO"});
    if (info.ok() && absl::StrContains(*info, "cluster_state:ok") &&
        absl::StrContains(*info, absl::StrCat("cluster_slots_ok:", kSlotsCount)) &&
        absl::StrContains(*info, absl::StrCat("cluster_known_nodes:", size(), "\r"))) {
      ++i;
      continue;
    }
    if (steady_clock::now() > deadline) {
      return absl::DeadlineExceededError("the cluster did not form: " +
                                         (info.ok() ? *info : info.status().ToString()));
    }
    std::this_thread::sleep_for(kPoll);
  }
  return absl::OkStatus();
}

std::string RedisCluster::url() const {
  std::vector<std::string> addresses;
  for (const auto& node : nodes_) addresses.push_back(node->address());
  // Scheme and password are those of every node.
  std::string url = nodes_.front()->url();
  url.replace(url.find("://"), 3, "+cluster://");
  url.replace(url.rfind(addresses.front()), std::string::npos, absl::StrJoin(addresses, ","));
  return url;
}

int RedisCluster::OwnerOf(int slot) const {
  int i = 0;
  while (slot > kSlotsCount * (i + 1) / size() - 1) ++i;
  return i;
}

std::string RedisCluster::NodeId(int i) { return node(i).Cli({"CLUSTER", "MYID"}).value_or(""); }

}  // namespace slipstream::tests
