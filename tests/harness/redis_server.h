// Real Redis servers for one test: a data folder of their own under /tmp, free ports on loopback,
// gone at the end; what a test that crashed left is removed by the next one.
//
//   auto server = *tests::RedisServer::Start({.settings = {"appendonly yes"}});
//   ... server->url() ...
//   server->Kill(); server->Restart();
//
// Tests that start servers are tagged `no-sandbox`.
//
// Thread safety: one thread at a time. Methods block for seconds at most.
// Errors: NOT_FOUND without redis-server; INTERNAL with the end of the server's log.
#ifndef TESTS_HARNESS_REDIS_SERVER_H_
#define TESTS_HARNESS_REDIS_SERVER_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace slipstream::tests {

struct RedisOptions {
  // Lines of redis.conf. Without any: no persistence, no password.
  std::vector<std::string> settings;
  std::string password;   // of the default user
  bool tls = false;       // TLS only; certificates are made for 127.0.0.1 and localhost
  bool sentinel = false;  // a Redis Sentinel
  bool cluster = false;   // a node of a cluster (RedisCluster starts them)
};

class RedisServer {
 public:
  // Returns when the server accepts connections.
  static absl::StatusOr<std::unique_ptr<RedisServer>> Start(RedisOptions options = {});
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  // redis://:password@127.0.0.1:port, or rediss.
  std::string url() const;
  std::string address() const;  // 127.0.0.1:port
  int port() const { return port_; }
  int bus_port() const { return bus_port_; }
  // TLS: the authority that signed the server's certificate.
  std::string ca_file() const { return folder_ + "/ca.crt"; }
  // The server's own certificate, which serves a client as well.
  std::string cert_file() const { return folder_ + "/redis.crt"; }
  std::string key_file() const { return folder_ + "/redis.key"; }
  pid_t pid() const { return pid_; }

  void Kill();  // SIGKILL
  void Stop();  // SIGTERM, and waits: everything is on disk then, if it persists
  // Kills it if it runs. The same data, the same port.
  absl::Status Restart();
  // Stops answering, with its connections open; and goes on.
  void Pause();
  void Resume();

  // What redis-cli prints for a command, without the last newline; INTERNAL for an error reply.
  absl::StatusOr<std::string> Cli(const std::vector<std::string>& arguments) const;
  // Everything that it logged since it was started last.
  std::string Log() const;

 private:
  RedisServer() = default;
  absl::Status MakeCertificates();
  absl::Status WriteConfig() const;
  absl::Status Launch();
  std::string LogTail() const;

  RedisOptions options_;
  std::string folder_;
  int folder_lock_ = -1;  // held while this object lives
  int port_ = 0;
  int bus_port_ = 0;
  pid_t pid_ = -1;
};

// Primaries that share the 16384 slots evenly, without replicas.
class RedisCluster {
 public:
  // Returns when every node says that the cluster is ok. `options.cluster` is set.
  static absl::StatusOr<std::unique_ptr<RedisCluster>> Start(int nodes_count,
                                                             RedisOptions options = {});

  // redis+cluster://127.0.0.1:p1,127.0.0.1:p2,...
  std::string url() const;
  int size() const { return static_cast<int>(nodes_.size()); }
  RedisServer& node(int i) { return *nodes_[static_cast<size_t>(i)]; }
  // The index of the node that was given this slot at the start.
  int OwnerOf(int slot) const;
  std::string NodeId(int i);

 private:
  absl::Status Join();

  std::vector<std::unique_ptr<RedisServer>> nodes_;
};

}  // namespace slipstream::tests

#endif  // TESTS_HARNESS_REDIS_SERVER_H_
