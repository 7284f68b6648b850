// A real PostgreSQL server for one test: its own data folder under /tmp, a free port on loopback,
// no fsync, gone at the end (also when the test crashes).
//
//   auto server = *tests::PostgresServer::Start();
//   ... server->url() ...
//   server->Kill(); server->Restart();
//
// The server refuses to run as root, so a test that does runs it as an unprivileged user through
// setpriv; that does not work in Bazel's sandbox: tag the test `no-sandbox`.
//
// Thread safety: one thread at a time. Methods block for seconds at most.
// Errors: NOT_FOUND without PostgreSQL's programs; INTERNAL with the end of the server's log.
#ifndef TESTS_HARNESS_POSTGRES_SERVER_H_
#define TESTS_HARNESS_POSTGRES_SERVER_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace slipstream::tests {

struct PostgresOptions {
  // As in postgresql.conf: "shared_preload_libraries=pg_stat_statements".
  std::vector<std::string> settings;
};

class PostgresServer {
 public:
  // Returns when the server accepts connections.
  static absl::StatusOr<std::unique_ptr<PostgresServer>> Start(PostgresOptions options = {});
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  // As superuser `postgres`, without a password.
  std::string url() const;
  int port() const { return port_; }

  // Ends as in a crash: SIGKILL to the server and its children.
  void Kill();
  // After Kill: the same data, the same port.
  absl::Status Restart();
  // The server and its children stop answering, with their connections open; and go on.
  void Pause();
  void Resume();

 private:
  PostgresServer() = default;
  absl::Status Initialize();
  absl::Status Launch();
  std::vector<pid_t> Processes() const;
  void Signal(int signal_number) const;
  std::string LogTail() const;

  PostgresOptions options_;
  std::string programs_;  // folder
  std::string folder_;    // data, socket and log below
  int port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace slipstream::tests

#endif  // TESTS_HARNESS_POSTGRES_SERVER_H_
