// Statements from coroutines: a few threads of its own, each with one connection, behind a bounded
// queue.
//
//   auto rows = co_await client.Run<postgres::Rows>(absl::Seconds(5), [](postgres::Connection& c) {
//     return c.Query("SELECT 1");
//   });
//
// A connection is opened by the first job that needs it and replaced when it broke. A job that
// found its kept connection broken runs once more on a new one if `retry_broken` is set, so that
// the first call after a restart of the server succeeds; set it only where every job may run twice.
// A job that the server never answers is given up at its timeout and its connection is cut.
//
// Thread safety: Run and figures from any thread. Stop and the destructor from the owner, after the
// last Run has ended or together with it: jobs that wait then end with UNAVAILABLE. Stop blocks for
// at most the connect timeout.
//
// Errors: those of Connection; UNAVAILABLE POSTGRES_UNREACHABLE at the timeout; RESOURCE_EXHAUSTED
// POSTGRES_BUSY when max_waiting_count jobs wait already or no thread came free in time.
#ifndef LIBS_POSTGRES_CLIENT_H_
#define LIBS_POSTGRES_CLIENT_H_

#include <functional>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "libs/async/async.h"
#include "libs/postgres/connection.h"

namespace slipstream::postgres {

struct ClientOptions {
  ConnectionOptions connection;
  int threads_count = 4;  // and connections at most; 1-256
  size_t max_waiting_count = 64;
  bool retry_broken = false;
};

struct ClientFigures {
  int open_connections_count = 0;
  int busy_connections_count = 0;
  int waiting_count = 0;
  int64_t acquired_count = 0;          // jobs that got a connection since start
  int64_t acquire_timeouts_count = 0;  // jobs that waited in vain, or were refused, since start
  int64_t broken_count = 0;            // connections thrown away since start
};

class Client {
 public:
  explicit Client(ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // `job` may outlive the call (after the timeout), so it holds what it needs by value.
  template <class T>
  Async<absl::StatusOr<T>> Run(absl::Duration timeout,
                               std::function<absl::StatusOr<T>(Connection&)> job) {
    auto result = std::make_shared<absl::StatusOr<T>>(absl::UnknownError("not run"));
    absl::Status status = co_await RunJob(timeout, [job = std::move(job), result](Connection& c) {
      *result = job(c);
      return result->status();
    });
    if (!status.ok()) co_return status;
    co_return std::move(*result);
  }

  ClientFigures figures() const;
  const ClientOptions& options() const;

  void Stop();

 private:
  struct Impl;
  Async<absl::Status> RunJob(absl::Duration timeout, std::function<absl::Status(Connection&)> job);

  std::unique_ptr<Impl> impl_;
};

}  // namespace slipstream::postgres

#endif  // LIBS_POSTGRES_CLIENT_H_
