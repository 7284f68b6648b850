// Explains one statement: the seam between the engine and PostgreSQL.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_QUERY_EXPLAINER_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_QUERY_EXPLAINER_H_

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/async/async.h"
#include "slipstream/database_optimizer/v1/database_optimizer.pb.h"

namespace slipstream::database_optimizer {

// Thread safety: all methods from any coroutine.
class QueryExplainer {
 public:
  virtual ~QueryExplainer() = default;

  // `time_left` is what the caller still waits. INVALID_ARGUMENT INVALID_FIELD,
  // MULTIPLE_STATEMENTS, STATEMENT_INVALID, STATEMENT_NOT_READ_ONLY, and POSTGRES_STATEMENT_REFUSED
  // (the server's own word) for the caller's mistakes; DEADLINE_EXCEEDED
  // POSTGRES_STATEMENT_TIMEOUT; UNAVAILABLE POSTGRES_UNREACHABLE; RESOURCE_EXHAUSTED POSTGRES_BUSY.
  virtual Async<absl::StatusOr<v1::ExplainQueryResponse>> Explain(v1::ExplainQueryRequest request,
                                                                  absl::Duration time_left) = 0;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_QUERY_EXPLAINER_H_
