// A read-only transaction on a connection that is rolled back at the end, whatever happened in it.
//
// Thread safety: that of the connection: one thread at a time. It blocks.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_READ_ONLY_WORK_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_READ_ONLY_WORK_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/postgres/connection.h"

namespace slipstream::database_optimizer {

class ReadOnlyWork {
 public:
  // The connection outlives this.
  explicit ReadOnlyWork(postgres::Connection& connection) : connection_(connection) {}
  // A connection that broke has nothing to roll back; its next statement finds out.
  ~ReadOnlyWork() {
    if (begun_) connection_.Query("ROLLBACK").status().IgnoreError();
  }
  ReadOnlyWork(const ReadOnlyWork&) = delete;
  ReadOnlyWork& operator=(const ReadOnlyWork&) = delete;

  // Begins it. Statements in it end after `statement_timeout`, and wait for a lock no longer than
  // `lock_timeout`: a look must not queue up before those who work.
  absl::Status Begin(absl::Duration statement_timeout, absl::Duration lock_timeout);

 private:
  postgres::Connection& connection_;
  bool begun_ = false;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_READ_ONLY_WORK_H_
