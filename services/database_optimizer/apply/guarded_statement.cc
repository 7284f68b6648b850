#include "services/database_optimizer/apply/guarded_statement.h"

#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/database_optimizer/whatif/row_reader.h"

namespace slipstream::database_optimizer {

namespace {

// Whoever is gone is noticed by the server within this, also in the middle of a build: after a
// crash of this process its build ends by itself and frees the advisory lock.
constexpr char kSetUp[] =
    "SET client_connection_check_interval = '500ms'; SET lock_timeout = 0; "
    "SET idle_in_transaction_session_timeout = 0";

// The key is ours alone: two numbers, the first of them the suite's.
constexpr char kTryLock[] = "SELECT pg_try_advisory_lock(hashtext('slipstream.changes'), 2)";

// Sessions that wait for a lock which our backend has on the same object. Modes that conflict with
// ours but not with a write's (another VACUUM, ANALYZE or concurrent build) make nobody else queue,
// unless a transaction that has written waits.
constexpr char kWaiting[] = R"(
SELECT 1 FROM pg_locks w JOIN pg_locks h
  ON h.pid = $1::int AND h.granted AND w.locktype = h.locktype
 AND w.database IS NOT DISTINCT FROM h.database AND w.relation IS NOT DISTINCT FROM h.relation
WHERE NOT w.granted AND w.pid <> $1::int AND w.locktype = 'relation'
  AND (w.mode <> 'ShareUpdateExclusiveLock' OR EXISTS (
    SELECT 1 FROM pg_locks x WHERE x.pid = w.pid AND x.locktype = 'transactionid' AND x.granted
      AND x.mode = 'ExclusiveLock'))
LIMIT 1)";

}  // namespace

absl::StatusOr<bool> GuardedConnection::Acquire() {
  {
    sync::MutexLock lock(mutex_);
    if (stopped_) return false;
  }
  if (watcher_ == nullptr || connection_ == nullptr) {
    Close();
    auto watcher = postgres::Connection::Open(options_);
    if (!watcher.ok()) return watcher.status();
    auto connection = postgres::Connection::Open(options_);
    if (!connection.ok()) return connection.status();
    auto pid = (*connection)->Query("SELECT pg_backend_pid()");
    if (!pid.ok()) return pid.status();
    if (auto set = (*connection)->Query(kSetUp); !set.ok()) return set.status();
    pid_ = pid->empty() ? "" : TextAt(pid->front(), 0);
    watcher_ = *std::move(watcher);
    connection_ = *std::move(connection);
    auto locked = connection_->Query(kTryLock);
    if (!locked.ok() || locked->empty() || !BoolAt(locked->front(), 0)) {
      Close();
      return locked.ok() ? absl::StatusOr<bool>(false) : locked.status();
    }
    return true;
  }
  // The lock is the session's: it is there as long as the session is.
  if (auto alive = connection_->Query("SELECT 1"); !alive.ok()) {
    Close();
    return alive.status();
  }
  return true;
}

void GuardedConnection::Close() {
  connection_.reset();
  watcher_.reset();
}

absl::Status GuardedConnection::Run(const std::string& sql, absl::Duration timeout) {
  if (connection_ == nullptr) {
    return status::Error(absl::StatusCode::kUnavailable, postgres::kUnreachable,
                         "there is no connection for changes");
  }
  auto set = connection_->Query(
      absl::StrCat("SET statement_timeout = ", absl::ToInt64Milliseconds(timeout)));
  absl::Status status = set.ok() ? RunGuarded(sql) : set.status();
  if (absl::IsUnavailable(status)) Close();
  return status;
}

absl::Status GuardedConnection::RunGuarded(const std::string& sql) {
  {
    sync::MutexLock lock(mutex_);
    if (stopped_) return absl::UnavailableError("the process is ending");
    running_ = connection_.get();
  }
  sync::Mutex mutex;
  sync::CondVar ended;
  bool is_ended = false;  // guarded by `mutex`, which the analysis cannot see of a local
  bool gave_way = false;
  std::thread guard([&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    for (;;) {
      {
        sync::MutexLock lock(mutex);
        if (is_ended) return;
        if (ended.WaitFor(mutex, kGuardInterval) && is_ended) return;
        if (is_ended) return;
      }
      auto waiting = watcher_->Query(kWaiting, {pid_});
      if (!waiting.ok()) {
        // Unwatched it must not go on: the statement ends with its connection.
        if (absl::IsUnavailable(waiting.status())) {
          connection_->Abort();
          return;
        }
        continue;
      }
      if (waiting->empty()) continue;
      gave_way = true;
      // Again and again until it is over: a cancel that comes between two statements is lost.
      watcher_->Query("SELECT pg_cancel_backend($1::int)", {pid_}).IgnoreError();
    }
  });
  absl::Status status = connection_->Query(sql).status();
  {
    sync::MutexLock lock(mutex);
    is_ended = true;
    ended.SignalAll();
  }
  guard.join();
  {
    sync::MutexLock lock(mutex_);
    running_ = nullptr;
  }
  if (gave_way && absl::IsDeadlineExceeded(status)) {
    return status::Error(absl::StatusCode::kAborted, kGaveWay,
                         "another session waited for the table's lock, so the change gave way");
  }
  return status;
}

void GuardedConnection::Stop() {
  sync::MutexLock lock(mutex_);
  stopped_ = true;
  if (running_ != nullptr) running_->Abort();
}

}  // namespace slipstream::database_optimizer
