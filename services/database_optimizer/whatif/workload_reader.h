// The statements of this database from pg_stat_statements.
//
// Thread safety: as the connection.
// Errors: FAILED_PRECONDITION STATEMENTS_NOT_COUNTED, with what to do, where the extension is
// missing; those of postgres::Connection.
#ifndef SERVICES_DATABASE_OPTIMIZER_WHATIF_WORKLOAD_READER_H_
#define SERVICES_DATABASE_OPTIMIZER_WHATIF_WORKLOAD_READER_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/postgres/connection.h"

namespace slipstream::database_optimizer {

inline constexpr absl::string_view kStatementsNotCounted = "STATEMENTS_NOT_COUNTED";

struct WorkloadStatement {
  std::string fingerprint;  // 16 hexadecimal digits
  std::string sql;          // constants replaced by $1, $2, ...
  int64_t calls_count = 0;
  double total_ms = 0;
  int64_t rows_count = 0;
};

struct Workload {
  std::vector<WorkloadStatement> statements;  // by total time, the greatest first
  std::optional<absl::Time> since;
};

absl::StatusOr<Workload> ReadWorkload(postgres::Connection& connection, int max_count);

// What one statement has cost so far; differences of two readings are what it cost in between.
struct StatementCounters {
  double calls_count = 0;
  double total_ms = 0;
  double squares_ms2 = 0;   // sum of the squares of the runs' times
  double blocks_count = 0;  // shared ones, found or read
  double wal_records_count =
      0;  // of the log; whole pages that it carries after a checkpoint do not count
};

struct CountersReading {
  std::map<std::string, StatementCounters> by_fingerprint;
  std::string since;  // when they were reset last, as PostgreSQL writes it; differs after a reset
};

// The `max_count` statements with the most time.
absl::StatusOr<CountersReading> ReadCounters(postgres::Connection& connection, int max_count);

// schema-qualified, quoted view; or STATEMENTS_NOT_COUNTED.
absl::StatusOr<std::string> StatementsView(postgres::Connection& connection);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WHATIF_WORKLOAD_READER_H_
