// What the planner would do if an index were there: HypoPG's hypothetical indexes of one session.
//
// Thread safety: as the connection. A WhatIf takes all hypothetical indexes of its session away at
// its beginning and end, so no other call on that session sees them.
// Errors: FAILED_PRECONDITION HYPOPG_MISSING with what to do; INVALID_ARGUMENT
// STATEMENT_UNPLANNABLE (the server refuses the statement with any value we have); those of
// postgres::Connection.
#ifndef SERVICES_DATABASE_OPTIMIZER_WHATIF_WHAT_IF_H_
#define SERVICES_DATABASE_OPTIMIZER_WHATIF_WHAT_IF_H_

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/postgres/connection.h"
#include "services/database_optimizer/candidates/index_definition.h"
#include "services/database_optimizer/whatif/plan_parts.h"

namespace slipstream::database_optimizer {

inline constexpr absl::string_view kHypopgMissing = "HYPOPG_MISSING";
inline constexpr absl::string_view kStatementUnplannable = "STATEMENT_UNPLANNABLE";

struct HypotheticalIndex {
  int64_t oid = 0;
};

struct Plan {
  double cost = 0;                // in the planner's units
  double rows_count = 0;          // as the planner estimates
  std::string text;               // EXPLAIN (FORMAT JSON)
  PlanParts parts;                // what the cost consists of
  std::set<std::string> indexes;  // names of those it uses
};

// A statement that can be planned, by sampled values or, where those do not fit, generically.
struct PlannedStatement {
  std::vector<std::string> samples;  // texts without parameters; empty: `generic` is planned
  std::string generic;               // with $1, $2, ...
  int parameters_count = 0;
};

class WhatIf {
 public:
  static absl::StatusOr<WhatIf> Begin(postgres::Connection& connection);
  WhatIf(WhatIf&& other) noexcept : connection_(other.connection_), schema_(other.schema_) {
    other.connection_ = nullptr;
  }
  WhatIf(const WhatIf&) = delete;
  ~WhatIf();

  absl::StatusOr<HypotheticalIndex> Add(const IndexDefinition& definition);
  // All of them are gone.
  absl::Status Reset();

  // Rows of a table that meet a condition, as the planner estimates them.
  absl::StatusOr<double> CountRows(const std::string& table, const std::string& condition);

  // How a statement can be planned.
  absl::StatusOr<PlannedStatement> MakePlannable(const std::vector<std::string>& samples,
                                                 const std::string& generic);
  // One plan per sample; one when planned generically.
  absl::StatusOr<std::vector<Plan>> Explain(const PlannedStatement& statement);
  absl::StatusOr<Plan> ExplainSample(const PlannedStatement& statement, size_t sample);

  // The part of HypoPG's name for an index that says which it is: "<oid>".
  static std::string Mark(int64_t oid);

 private:
  WhatIf(postgres::Connection& connection, std::string schema)
      : connection_(&connection), schema_(std::move(schema)) {}
  absl::StatusOr<Plan> ExplainText(const std::string& sql);

  postgres::Connection* connection_;  // null: moved from
  std::string schema_;                // of HypoPG, quoted
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WHATIF_WHAT_IF_H_
