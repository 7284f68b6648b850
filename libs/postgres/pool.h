// The pool of connections to a PostgreSQL primary and its replicas.
//
//   auto result = co_await pool.Run(Statement{.sql = sql, .parameters = {"42"}},
//                                   Caller{"Query", trace_id, time_left}, {.allow_replica = true});
//
//   auto lease = co_await pool.Acquire(Caller{"advisor"});          // several on one connection
//   if (!lease.ok()) co_return lease.status();
//   auto rows = co_await lease->Run(Statement{.sql = other});       // given back by ~Lease
//
// - Waiters are served strictly first in, first out, whoever they are, per server; at most
//   max_waiters_count wait. A released connection goes to the first waiter at once, on the pool's
//   own thread.
// - All sockets are driven by one thread with libpq's asynchronous calls; connections are opened
//   (name look-up, TLS, sign-in) by connector threads, so none of this blocks a caller's thread.
// - Statements that are planned (SELECT, VALUES, WITH, INSERT, UPDATE, DELETE) are prepared once
//   per connection, the latest max_prepared_count of them.
// - A read whose connection broke before a byte of its answer came runs once more on a new one. A
//   write never does.
// - A caller whose time is over is answered at once. Its statement goes on for abandon_grace; then
//   its connection is cut, and the server, asked to look at its sockets, ends it.
// - Failover: with several hosts in the URL (postgresql://u@a,b/db?target_session_attrs=primary)
//   the first that qualifies is taken; a connection to a server that turns out to be in recovery,
//   to be ending or to have become read-only is replaced, and so are its neighbours.
// - Replicas: looked at every replica_check_interval. One that is away, silent or further behind
//   than max_replica_lag is left within a second, and comes back by itself. With none in use the
//   primary answers.
//
// Thread safety: all methods from any thread, from coroutines. Stop (or the destructor) from the
// owner, not from the pool's threads; what waits or runs then ends with UNAVAILABLE. Stop blocks
// for at most the connect timeout of each host.
//
// Errors, each with its reason: UNAVAILABLE POSTGRES_UNREACHABLE (with the server's word),
// POSTGRES_CIRCUIT_OPEN (RetryInfo says when), POSTGRES_OUT_OF_CONNECTIONS (the server has none
// left); RESOURCE_EXHAUSTED POSTGRES_BUSY (waiters' bound, or no connection came free in time),
// POSTGRES_RESULT_TOO_LARGE; DEADLINE_EXCEEDED POSTGRES_STATEMENT_TIMEOUT; FAILED_PRECONDITION
// POSTGRES_STATEMENT_REFUSED (metadata `sqlstate`), POSTGRES_READ_ONLY (a write met a server that
// takes none), POSTGRES_TOO_OLD.
#ifndef LIBS_POSTGRES_POOL_H_
#define LIBS_POSTGRES_POOL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/async/async.h"
#include "libs/clock/clock.h"
#include "libs/postgres/result.h"
#include "libs/postgres/statement.h"

namespace slipstream::postgres {

inline constexpr absl::string_view kCircuitOpen = "POSTGRES_CIRCUIT_OPEN";
inline constexpr absl::string_view kOutOfConnections = "POSTGRES_OUT_OF_CONNECTIONS";
inline constexpr absl::string_view kResultTooLarge = "POSTGRES_RESULT_TOO_LARGE";
inline constexpr absl::string_view kReadOnly = "POSTGRES_READ_ONLY";

// A connection that was held longer than leak_report.
struct Leak {
  std::string holder;
  std::string trace_id;
  absl::Duration held;
};

// Bounds and defaults: PostgresPoolConfig in config.proto.
struct PoolOptions {
  std::string primary_url;                // secret
  std::vector<std::string> replica_urls;  // secret; 16 at most
  std::string application_name = "slipstream";
  // Of each server. min_connections_count is at most max_connections_count.
  int min_connections_count = 5;
  int max_connections_count = 20;
  int64_t max_connection_queries_count = 50000;  // give or take a tenth
  absl::Duration idle_timeout = absl::Seconds(300);
  absl::Duration acquire_timeout = absl::Seconds(30);
  absl::Duration statement_timeout = absl::Seconds(60);
  int max_waiters_count = 1000;
  absl::Duration leak_report = absl::Seconds(90);
  int breaker_failures_count = 5;
  absl::Duration breaker_open = absl::Seconds(1);
  absl::Duration replica_check_interval = absl::Milliseconds(250);
  absl::Duration max_replica_lag = absl::Seconds(1);
  // Not settings: nobody has had a reason to change them.
  absl::Duration connect_timeout = absl::Seconds(3);  // of each host; libpq knows no less than 2
  absl::Duration abandon_grace = absl::Seconds(1);
  int max_prepared_count = 128;  // of each connection
  // Called once for each leak, when it is found and not when it ends; on the loop thread.
  std::function<void(const Leak&)> on_leak;
  std::shared_ptr<StatementObserver> observer;  // may be null
};

enum class CircuitState { kClosed, kOpen, kHalfOpen };

struct ReplicaFigures {
  std::string name;  // host:port
  // Its application_name in the primary's pg_stat_replication. Empty: not known, such as without
  // pg_monitor.
  std::string streams_as;
  bool in_use = false;
  // Since it was last heard of, as if it had replayed nothing since.
  int64_t lag_bytes = 0;
  absl::Duration lag;
  std::string why_left;  // empty while in use
};

struct PoolFigures {
  // Of the primary.
  int open_connections_count = 0;
  int busy_connections_count = 0;
  int waiters_count = 0;
  CircuitState circuit_state = CircuitState::kClosed;
  // Of all servers, since start.
  int64_t acquired_count = 0;
  int64_t acquire_timeouts_count = 0;  // waited in vain, or were refused
  int64_t recycled_count = 0;          // replaced because of age, use or idleness
  int64_t broken_count = 0;            // thrown away because they broke or were cut
  int64_t statements_count = 0;
  int64_t replica_statements_count = 0;
  // Time that connections of the primary were busy; divide by time and max_connections_count.
  absl::Duration busy_time;
  absl::Duration p95_wait;  // for a connection, of the latest 1024
  std::vector<Leak> leaks;  // that last, the longest first, 20 at most
  std::vector<ReplicaFigures> replicas;
};

class Pool;

// A connection for several statements, one after the other. Given back when destroyed; what it
// left open (a transaction) is rolled back and the connection closed. Not longer than
// PoolOptions::leak_report, or it is reported.
//
// Thread safety: one coroutine at a time. The pool outlives it.
class Lease {
 public:
  Lease() = default;
  Lease(Lease&&) noexcept;
  Lease& operator=(Lease&&) noexcept;
  ~Lease();

  // `timeout` for this statement alone; at most PoolOptions::statement_timeout.
  Async<absl::StatusOr<Result>> Run(Statement statement,
                                    absl::Duration timeout = absl::Seconds(10));
  int server_version() const;
  // The connection is closed instead of given back: for who changed its session (SET, HypoPG).
  void Discard();

 private:
  friend class Pool;
  struct State;
  explicit Lease(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // null: moved from, or never granted
};

class Pool {
 public:
  // Opens nothing yet; threads begin with Start. INVALID_ARGUMENT of URLs: see CheckUrl. `clock`
  // outlives it.
  Pool(PoolOptions options, const clock::Clock& clock);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Begins to open min_connections_count connections, and does not wait for them: a server that is
  // away may come back.
  void Start();
  void Stop();

  // One statement.
  Async<absl::StatusOr<Result>> Run(Statement statement, Caller caller, Route route = {});

  // A connection of the primary, or of a replica as `route` allows.
  Async<absl::StatusOr<Lease>> Acquire(Caller caller, Route route = {});

  // PostgreSQL's name of a type, such as int8; from pg_type for types that are not built in, kept.
  // "unknown" when that cannot be read.
  Async<std::string> TypeName(uint32_t oid);

  PoolFigures figures() const;
  const PoolOptions& options() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace slipstream::postgres

#endif  // LIBS_POSTGRES_POOL_H_
