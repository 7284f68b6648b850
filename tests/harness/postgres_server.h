// A real PostgreSQL server for one test: its own data folder under /tmp, a free port on loopback,
// no fsync, gone at the end (also when the test crashes).
//
//   auto server = *tests::PostgresServer::Start();
//   ... server->url() ...
//   server->Kill(); server->Restart();
//   auto replica = *server->StartReplica();   // streams from it; read-only
//   replica->Promote();
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
  // A streaming replica of this server, copied by pg_basebackup; returns when it accepts
  // connections. It is a server like any other: it may be killed, paused and started again, and
  // outlive this one. Its application_name at this server is "replica_PORT".
  absl::StatusOr<std::unique_ptr<PostgresServer>> StartReplica(PostgresOptions options = {}) const;
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
  // A replica becomes a primary. Returns when it takes writes.
  absl::Status Promote();
  // Runs SQL as the superuser with psql, for a test's preparations: its output, a row a line with
  // columns apart by `|`. INTERNAL with psql's word.
  absl::StatusOr<std::string> Sql(const std::string& sql) const;

 private:
  PostgresServer() = default;
  static absl::StatusOr<std::unique_ptr<PostgresServer>> New(PostgresOptions options);
  absl::Status Initialize();
  absl::Status CopyFrom(int primary_port);
  absl::Status LaunchOnFreePort();
  absl::Status Launch();
  // Runs a program of PostgreSQL's to its end, with its output in the log.
  absl::Status RunProgram(std::vector<std::string> arguments, const std::string& log) const;
  std::vector<pid_t> Processes() const;
  void Signal(int signal_number) const;
  std::string LogTail() const;

  PostgresOptions options_;
  std::string programs_;  // folder
  std::string folder_;    // data, socket and log below
  std::string primary_;   // how a replica finds its primary; empty: it is none
  int port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace slipstream::tests

#endif  // TESTS_HARNESS_POSTGRES_SERVER_H_
