// One statement for the Pool: what runs, for whom, and what an observer hears of it afterwards.
//
// Thread safety: plain values; StatementObserver says which thread calls it.
#ifndef LIBS_POSTGRES_STATEMENT_H_
#define LIBS_POSTGRES_STATEMENT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/postgres/wal_position.h"

namespace slipstream::postgres {

enum class Access {
  kRead,   // the session is read-only: PostgreSQL itself refuses to write (SQLSTATE 25006)
  kWrite,  // always on the primary
};

struct Statement {
  // One statement with $1, $2, ... Shared, so that a text that is run often is kept once.
  std::shared_ptr<const std::string> sql;
  // Text as PostgreSQL reads it; nullopt is NULL. PostgreSQL infers the types.
  std::vector<std::optional<std::string>> parameters;
  Access access = Access::kRead;
  // Rows beyond this are thrown away as they come; Result::truncated() then says so. The statement
  // itself runs on: LIMIT is what spares the server.
  int64_t max_rows_count = 10000;
  // Bytes of values held at most; beyond: RESOURCE_EXHAUSTED POSTGRES_RESULT_TOO_LARGE.
  int64_t max_result_bytes = 64 << 20;
};

// Who asks, for the leak report and for observers.
struct Caller {
  std::string holder;    // method or component, such as "advisor"; at most 255 bytes
  std::string trace_id;  // 32 hexadecimal digits; may be empty
  // What the caller still waits: for the connection and the statement together.
  absl::Duration timeout = absl::Seconds(10);
};

// Which server may answer a read.
struct Route {
  // A replica may, as long as it is not further behind than PoolOptions::max_replica_lag.
  bool allow_replica = false;
  // Read your writes: a replica answers only when it has replayed this. Result::wal_position() of a
  // write is what to put here.
  WalPosition after;
};

// What a statement came to.
struct StatementEvent {
  const Statement& statement;
  const Caller& caller;
  const absl::Status& status;
  absl::Duration waited;   // for a connection
  absl::Duration ran;      // from sending to the last byte of the answer
  int64_t rows_count = 0;  // returned or changed
  bool on_replica = false;
};

// Hears of each statement that reached a server, before its caller does. Runs on the pool's one
// loop thread: it takes a microsecond at most, and hands on what takes longer.
class StatementObserver {
 public:
  virtual ~StatementObserver() = default;
  virtual void OnStatement(const StatementEvent& event) = 0;
};

}  // namespace slipstream::postgres

#endif  // LIBS_POSTGRES_STATEMENT_H_
