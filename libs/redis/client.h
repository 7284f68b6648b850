// A Redis client: one server, a primary behind Sentinel, or a cluster, over TCP or TLS.
//
//   auto client = redis::Client::Create({runtime.executor(), random, logger}, {.url = url});
//   auto reply = co_await (*client)->Eval(kSubmit, {"q:{7}:tasks"}, {id, payload});
//
// Group commit: whatever callers hand in while a write is in flight travels as the next single
// pipelined write, so the cost of a system call is shared by all of a batch. There is one
// connection to each primary; commands to one primary run in the order in which they were handed
// in, except those that ran again after NOSCRIPT, MOVED, ASK or TRYAGAIN.
//
// Thread safety: all methods from any thread; none blocks. The destructor blocks until every
// pending command has been answered: call it on a thread that is not the executor's, while the
// executor still runs.
//
// Errors, each with an ErrorInfo (libs/status):
//   UNAVAILABLE REDIS_UNAVAILABLE  not connected, connection lost, timed out, LOADING, MASTERDOWN,
//                CLUSTERDOWN, READONLY, TRYAGAIN; with RetryInfo. Metadata `sent`: "false" when the
//                server certainly did not run the command, "true" when it may have. The library
//                never sends a command again whose bytes were sent, unless the server said that it
//                did not run it (MOVED, ASK, NOSCRIPT, TRYAGAIN).
//   UNAVAILABLE REDIS_NOT_REPLICATED  a commit (Options.wait_replicas_count) that too few replicas
//                have: it was made, and may be lost when the primary is; with RetryInfo
//   RESOURCE_EXHAUSTED REDIS_QUEUE_FULL     more waits than max_queued_count / _bytes
//   RESOURCE_EXHAUSTED REDIS_OUT_OF_MEMORY  the server's OOM
//   UNAUTHENTICATED REDIS_UNAUTHENTICATED   NOAUTH, WRONGPASS
//   PERMISSION_DENIED REDIS_NO_PERMISSION   NOPERM: the message says which ACL rule is missing
//   FAILED_PRECONDITION REDIS_TLS           the server's certificate is not trusted, or no TLS
//   INTERNAL REDIS_ERROR                    any other error reply, with its text
#ifndef LIBS_REDIS_CLIENT_H_
#define LIBS_REDIS_CLIENT_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/async/async.h"
#include "libs/logging/logger.h"
#include "libs/redis/script.h"
#include "libs/redis/value.h"

namespace slipstream::random {
class Random;
}
namespace slipstream::metrics {
class Registry;
}

namespace slipstream::redis {

struct Options {
  // redis://user:pass@host:port/db              one server
  // redis+sentinel://user:pass@h1:p1,h2:p2/master_name/db
  // redis+cluster://user:pass@h1:p1,h2:p2
  // rediss://, rediss+sentinel://, rediss+cluster:// the same over TLS. User and password are
  // percent-encoded; `:pass@` is a password without a user; the port is 6379 (Sentinel: 26379) and
  // the db 0 if left out.
  std::string url;

  // TLS. Without ca_file the system's authorities are trusted; cert_file and key_file (PEM) are for
  // servers that ask for a client certificate; server_name replaces the host in the check of the
  // certificate.
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  std::string server_name;

  std::string client_name;  // CLIENT SETNAME; no spaces or control characters
  // Sent on every new connection before any caller's command (each begins with a command's name):
  // for who must know that the server behind it is another one, or has started anew. An error reply
  // fails the connection; MOVED, of a cluster's other nodes, does not.
  std::vector<std::vector<std::string>> greeting;
  // For Sentinels with a password of their own; else the URL's is used when a Sentinel asks.
  std::string sentinel_user;
  std::string sentinel_password;

  absl::Duration connect_timeout = absl::Seconds(1);
  // From the call to the answer, with every wait: a hung Redis is UNAVAILABLE within 1 s.
  absl::Duration command_timeout = absl::Milliseconds(900);
  absl::Duration backoff_min = absl::Milliseconds(20);
  absl::Duration backoff_max = absl::Milliseconds(500);

  // How many replicas must have what a committing script wrote before its caller is answered; 0:
  // none. A WAIT travels behind the scripts of each write, for all of them, and what comes until it
  // is answered is the next write. Then, or after wait_timeout, the caller is answered: with
  // REDIS_NOT_REPLICATED when too few had it in time, though the primary has made the change.
  int wait_replicas_count = 0;
  absl::Duration wait_timeout = absl::Milliseconds(200);  // at most a third of command_timeout

  // Per connection: commands that wait or are unanswered, and the bytes of their arguments.
  int max_queued_count = 100'000;
  size_t max_queued_bytes = size_t{512} << 20;
};

struct Deps {
  Executor executor;
  random::Random& random;  // outlives the client
  logging::Logger logger;
  // Where the figures of Stats are shown (redis_metrics.h), under Options.client_name; outlives the
  // client. Null: nowhere.
  metrics::Registry* metrics = nullptr;
};

// Since start, all connections together; for gauges: now.
struct Stats {
  // Upper bounds of the round trip buckets; the last bucket of Stats is for anything longer.
  static constexpr std::array<double, 12> kBucketSeconds = {
      0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1};

  uint64_t commands_count = 0;    // handed in
  uint64_t errors_count = 0;      // answered with an error
  uint64_t timeouts_count = 0;    // of these: not answered in time
  uint64_t refused_count = 0;     // of these: by the bound of the queue
  uint64_t writes_count = 0;      // pipelined writes; commands / writes is the mean batch
  uint64_t reconnects_count = 0;  // connections made after the first one of each node
  uint64_t redirects_count = 0;   // MOVED and ASK that were followed
  uint64_t scripts_loaded_count = 0;
  uint64_t not_replicated_count = 0;  // of the errors: commits that too few replicas had in time
  int64_t pending_count = 0;          // gauge: queued or unanswered
  int64_t nodes_count = 0;            // gauge: primaries this client talks to
  int64_t nodes_up_count = 0;
  // From the call to the answer, of commands that the server answered; not cumulative.
  std::array<uint64_t, kBucketSeconds.size() + 1> round_trip_buckets = {};
  absl::Duration round_trip_sum;
};

struct NodeReply {
  std::string address;  // host:port
  absl::StatusOr<Value> reply;
};

class Client {
 public:
  // Checks the options only (INVALID_ARGUMENT that names what is wrong, never the password);
  // connects in the background. An unreadable ca_file, cert_file or key_file is INVALID_ARGUMENT.
  static absl::StatusOr<std::unique_ptr<Client>> Create(Deps deps, Options options);

  // Close, unless that was called.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Closes the connections; what is pending, and what comes later, is answered UNAVAILABLE. Blocks
  // as the destructor does; once.
  void Close();

  // Called exactly once, on the connection's strand (so quick and not blocking); never under a
  // lock, never inline from Command or Eval.
  using Done = std::function<void(absl::StatusOr<Value>)>;

  // `routing_key`: a key whose hash slot decides the node of a cluster; empty: any primary.
  // `args` begins with the command's name and is not empty. Not for commands that answer more than
  // once or change the connection (SUBSCRIBE, MONITOR, SELECT, blocking ones).
  void Command(std::string_view routing_key, std::vector<std::string> args, Done done);
  Async<absl::StatusOr<Value>> Command(std::string_view routing_key, std::vector<std::string> args);

  // EVALSHA; keys[0] decides the node. A server that does not know the script is given it
  // (SCRIPT LOAD) and the call is made again.
  void Eval(const Script& script, std::vector<std::string> keys, std::vector<std::string> args,
            Done done);
  Async<absl::StatusOr<Value>> Eval(const Script& script, std::vector<std::string> keys,
                                    std::vector<std::string> args);

  // MULTI, the commands, EXEC, with nothing of others in between: all of them are run, or, when the
  // server refuses one beforehand (unknown, OOM, READONLY), none. Answers what each answered; the
  // error of one that failed when it ran (the others have been run then). The user must have the
  // right to MULTI and EXEC: without it the commands run by themselves, and the answer is
  // REDIS_NO_PERMISSION, so ask with a command that does no harm first.
  // `routing_key` as for Command; no command is empty.
  void Transaction(std::string_view routing_key, std::vector<std::vector<std::string>> commands,
                   Done done);
  Async<absl::StatusOr<Value>> Transaction(std::string_view routing_key,
                                           std::vector<std::vector<std::string>> commands);

  // Runs a command on every primary that is known (waits for a cluster's slots to be known, for
  // at most command_timeout). Not empty; one entry for each primary, answered by that one alone:
  // UNAVAILABLE when it leaves the cluster meanwhile.
  Async<std::vector<NodeReply>> ForEachPrimary(std::vector<std::string> args);

  const Executor& executor() const;
  // Whether every node it needs is connected (a cluster: the owners of all slots).
  bool connected() const;
  // The primaries it knows, host:port. For a cluster the seeds until the slots are known.
  std::vector<std::string> NodeAddresses() const;
  Stats stats() const;

  // Messages of plain channels (SUBSCRIBE), on a connection of its own that reconnects. Messages
  // published while the link was down are lost: on_link(true) tells to look again.
  class Subscription {
   public:
    // Unsubscribes. No callback runs after it (it waits for one that runs on another thread).
    ~Subscription();
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;

    // Whether the link is up to all channels.
    bool up() const;
    // Sharded channels only: false once a server has said that it knows none (before Redis 7). The
    // subscription is given up then.
    bool supported() const;

    struct Impl;

   private:
    friend class Client;
    explicit Subscription(std::vector<std::shared_ptr<Impl>> impls);
    const std::vector<std::shared_ptr<Impl>> impls_;
  };

  // on_link(true) after each (re)subscribe to all channels, on_link(false) when that was lost.
  // Callbacks run one at a time on the executor; not inline. The handle dies before the client's
  // executor does; it may outlive the client.
  std::unique_ptr<Subscription> Subscribe(
      std::vector<std::string> channels,
      std::function<void(std::string_view channel, std::string_view payload)> on_message,
      std::function<void(bool up)> on_link);
  // The same for sharded channels (SSUBSCRIBE, Redis 7): a connection each, to the owner of the
  // channel's slot. on_link(true) when all are up, on_link(false) when one no longer is. Messages
  // of one channel come in order and one at a time, those of several channels at once.
  std::unique_ptr<Subscription> SubscribeSharded(
      std::vector<std::string> channels,
      std::function<void(std::string_view channel, std::string_view payload)> on_message,
      std::function<void(bool up)> on_link);
  // Whether the URL is of a cluster.
  bool is_cluster() const;

 private:
  struct Impl;
  explicit Client(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
  std::atomic<bool> closed_ = false;
};

}  // namespace slipstream::redis

#endif  // LIBS_REDIS_CLIENT_H_
