// Runs a statement that locks a table, and gives way to whoever waits for it.
//
// CREATE and DROP INDEX CONCURRENTLY take a lock (ShareUpdateExclusive) that no read or write waits
// for. But somebody else's ALTER TABLE or LOCK TABLE does, and while it waits, reads and writes
// queue behind it, for as long as our build takes. So a second connection looks every
// kGuardInterval for a session that waits for a lock of ours and is no VACUUM or ANALYZE, and
// cancels our statement as soon as there is one: nobody waits for us longer than that and the time
// a cancel takes, together below 50 ms. What is left of the statement is for the caller to clean
// up.
//
// The statement itself waits for locks of others as long as its timeout lets it; while it does,
// nobody queues behind it, as its lock is one that reads and writes do not conflict with.
//
// Thread safety: one Run at a time; Stop from any thread ends it.
// Errors: ABORTED GAVE_WAY; those of postgres::Connection.
#ifndef SERVICES_DATABASE_OPTIMIZER_APPLY_GUARDED_STATEMENT_H_
#define SERVICES_DATABASE_OPTIMIZER_APPLY_GUARDED_STATEMENT_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/postgres/connection.h"
#include "libs/sync/mutex.h"

namespace slipstream::database_optimizer {

inline constexpr absl::string_view kGaveWay = "GAVE_WAY";
inline constexpr absl::Duration kGuardInterval = absl::Milliseconds(10);

// The connection that changes are made on, and its guard. The first also holds the advisory lock
// that makes this process the only one that changes anything.
class GuardedConnection {
 public:
  explicit GuardedConnection(postgres::ConnectionOptions options) : options_(std::move(options)) {}

  // Opens what is not open. True: this process is the one that may change things now.
  absl::StatusOr<bool> Acquire();
  void Close();

  // `timeout` is kept by the server. UNAVAILABLE leaves the connections closed.
  absl::Status Run(const std::string& sql, absl::Duration timeout);
  // Cuts what runs, for good.
  void Stop();

 private:
  absl::Status RunGuarded(const std::string& sql);

  const postgres::ConnectionOptions options_;
  std::unique_ptr<postgres::Connection> connection_, watcher_;
  std::string pid_;  // of connection_'s backend
  sync::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  postgres::Connection* running_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_APPLY_GUARDED_STATEMENT_H_
