// Query and InvalidateTables: one read-only statement on the pool, and its result kept in the
// cache until a table that it reads is written.
//
// Results are only ever kept from the primary: a replica that is a little behind could otherwise
// put back what an invalidation has just removed.
//
// Thread safety: all methods from any coroutine.
// Errors: INVALID_ARGUMENT INVALID_FIELD, STATEMENT_INVALID, MULTIPLE_STATEMENTS,
// STATEMENT_NOT_READ_ONLY, FUNCTION_NOT_ALLOWED; PERMISSION_DENIED DATABASE_PERMISSION_DENIED (of
// the optimizer's database user); those of the pool. With metadata `sqlstate` where PostgreSQL
// refused.
#ifndef SERVICES_DATABASE_OPTIMIZER_QUERY_QUERY_ENGINE_H_
#define SERVICES_DATABASE_OPTIMIZER_QUERY_QUERY_ENGINE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/async/async.h"
#include "libs/clock/clock.h"
#include "libs/postgres/pool.h"
#include "services/database_optimizer/query/query_result_cache.h"
#include "services/database_optimizer/query/statement_cache.h"
#include "services/database_optimizer/query/table_tags.h"
#include "slipstream/database_optimizer/v1/database_optimizer.pb.h"

namespace slipstream::database_optimizer {

class QueryEngine {
 public:
  static constexpr size_t kMaxStatementChars = 65536;
  static constexpr int kDefaultRowsCount = 1000;
  static constexpr int kMaxRowsCount = 10000;
  static constexpr int64_t kMaxCacheTtlMs = 86'400'000;
  static constexpr int kMaxTablesCount = 100;
  // Below what a gRPC client takes by default (4 MiB), with room for what a message adds.
  static constexpr int64_t kMaxResultBytes = 3 << 20;
  static constexpr size_t kMaxResponseBytes = (4 << 20) - 1024;

  // Both outlive it.
  QueryEngine(postgres::Pool& pool, const clock::Clock& clock)
      : pool_(pool), tags_(pool, clock), statements_(kKeptStatementsCount, kKeptStatementsBytes) {}

  // Before the first call; without one, nothing is cached.
  void UseCache(QueryResultCache* cache) { cache_ = cache; }

  // Checks at once; what is returned waits. REQUIRES: it is awaited while `request` lives.
  Async<absl::Status> Query(const v1::QueryRequest& request, postgres::Caller caller,
                            v1::QueryResponse* response);

  Async<absl::StatusOr<int>> InvalidateTables(const v1::InvalidateTablesRequest& request,
                                              postgres::Caller caller);

  // A write of this process's own: results that read what it writes are dropped before it answers,
  // also when it is not known whether it was made. `tables` are those that it changes. UNAVAILABLE
  // also when it was made and the cache could not be told.
  Async<absl::StatusOr<postgres::Result>> Write(postgres::Statement statement,
                                                std::vector<TableName> tables,
                                                postgres::Caller caller);

 private:
  static constexpr size_t kKeptStatementsCount = 1000;
  static constexpr size_t kKeptStatementsBytes = 16 << 20;

  Async<absl::Status> Run(postgres::Statement statement, postgres::Caller caller,
                          bool allow_replica, v1::QueryResponse* response);
  Async<absl::Status> RunCached(const v1::QueryRequest& request, StatementCache::Entry checked,
                                postgres::Statement statement, postgres::Caller caller,
                                v1::QueryResponse* response);
  static absl::Status FillRows(const postgres::Result& result, v1::QueryResponse* response);
  Async<absl::Status> Invalidate(std::vector<TableName> tables, postgres::Caller caller);

  postgres::Pool& pool_;
  TableTags tags_;
  StatementCache statements_;
  QueryResultCache* cache_ = nullptr;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_QUERY_QUERY_ENGINE_H_
