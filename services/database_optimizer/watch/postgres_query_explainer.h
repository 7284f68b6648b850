// QueryExplainer by EXPLAIN (ANALYZE, BUFFERS) in a read-only transaction that is rolled back.
//
// What a statement may do is decided four times: its text is exactly one statement that only
// reads, by PostgreSQL's own parser; the server takes one statement and no more (the extended
// protocol); the transaction is read-only, so that a function which writes is refused by the
// server; and the database user's rights hold. Session locks that a statement
// took are given back. The statement's answer is not read, only its plan.
//
// Thread safety: all methods from any coroutine; the client outlives this.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_POSTGRES_QUERY_EXPLAINER_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_POSTGRES_QUERY_EXPLAINER_H_

#include "libs/postgres/client.h"
#include "services/database_optimizer/watch/query_explainer.h"

namespace slipstream::database_optimizer {

class PostgresQueryExplainer final : public QueryExplainer {
 public:
  static constexpr int kDefaultTimeoutMs = 10000;
  static constexpr int kMaxTimeoutMs = 60000;
  static constexpr int kMaxParametersCount = 100;
  static constexpr size_t kMaxStatementCharacters = 65536;
  static constexpr size_t kMaxParameterBytes = 1 << 20;  // all together
  static constexpr size_t kMaxPlanBytes = 1 << 20;

  explicit PostgresQueryExplainer(postgres::Client& client) : client_(client) {}

  Async<absl::StatusOr<v1::ExplainQueryResponse>> Explain(v1::ExplainQueryRequest request,
                                                          absl::Duration time_left) override;

 private:
  postgres::Client& client_;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_POSTGRES_QUERY_EXPLAINER_H_
