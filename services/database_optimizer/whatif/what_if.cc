#include "services/database_optimizer/whatif/what_if.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/status/status.h"
#include "services/database_optimizer/whatif/row_reader.h"

namespace slipstream::database_optimizer {

namespace {

using nlohmann::json;

constexpr char kSchemaSql[] =
    "SELECT quote_ident(n.nspname) FROM pg_extension e "
    "JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'hypopg'";
constexpr char kPrepared[] = "slipstream_what_if";

void CollectIndexes(const json& node, std::set<std::string>& out) {
  if (node.is_object()) {
    const auto name = node.find("Index Name");
    if (name != node.end() && name->is_string()) out.insert(name->get<std::string>());
  }
  if (!node.is_structured()) return;
  for (const json& item : node) CollectIndexes(item, out);
}

bool Lost(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

std::string WhatIf::Mark(int64_t oid) { return absl::StrCat("<", oid, ">"); }

absl::StatusOr<WhatIf> WhatIf::Begin(postgres::Connection& connection) {
  auto rows = connection.Query(kSchemaSql);
  if (!rows.ok()) return rows.status();
  if (rows->empty()) {
    return status::Error(absl::StatusCode::kFailedPrecondition, kHypopgMissing,
                         "HypoPG is not installed: install the package postgresql-15-hypopg (of "
                         "your version) on the server and run CREATE EXTENSION hypopg");
  }
  WhatIf out(connection, TextAt(rows->front(), 0));
  if (absl::Status status = out.Reset(); !status.ok()) return status;
  return out;
}

WhatIf::~WhatIf() {
  if (connection_ != nullptr) Reset().IgnoreError();
}

absl::Status WhatIf::Reset() {
  return connection_->Query(absl::StrCat("SELECT ", schema_, ".hypopg_reset()")).status();
}

absl::StatusOr<HypotheticalIndex> WhatIf::Add(const IndexDefinition& definition) {
  auto rows = connection_->Query(
      absl::StrCat("SELECT i.indexrelid FROM ", schema_, ".hypopg_create_index($1) i"),
      {definition.HypotheticalSql()});
  if (!rows.ok()) return rows.status();
  if (rows->empty()) return absl::InternalError("HypoPG made no index");
  return HypotheticalIndex{IntAt(rows->front(), 0)};
}

absl::StatusOr<double> WhatIf::CountRows(const std::string& table, const std::string& condition) {
  auto plan = ExplainText(absl::StrCat("SELECT 1 FROM ", table, " WHERE ", condition));
  if (!plan.ok()) return plan.status();
  return plan->rows_count;
}

absl::StatusOr<Plan> WhatIf::ExplainText(const std::string& sql) {
  auto rows = connection_->Query(absl::StrCat("EXPLAIN (FORMAT JSON) ", sql));
  if (!rows.ok()) return rows.status();
  Plan plan;
  if (!rows->empty()) plan.text = TextAt(rows->front(), 0);
  const json tree = json::parse(plan.text, nullptr, false);
  if (!tree.is_array() || tree.empty() || !tree[0].contains("Plan")) {
    return absl::InternalError("EXPLAIN gave no plan");
  }
  const json& root = tree[0]["Plan"];
  plan.cost = root.value("Total Cost", 0.0);
  plan.rows_count = root.value("Plan Rows", 0.0);
  CollectIndexes(root, plan.indexes);
  plan.parts = PartsOf(root);
  return plan;
}

absl::StatusOr<PlannedStatement> WhatIf::MakePlannable(const std::vector<std::string>& samples,
                                                       const std::string& generic) {
  PlannedStatement out;
  for (const auto& text : samples) {
    auto plan = ExplainText(text);
    if (Lost(plan.status())) return plan.status();
    if (plan.ok()) out.samples.push_back(text);
  }
  if (!out.samples.empty()) return out;
  auto prepared = connection_->Query(absl::StrCat("PREPARE ", kPrepared, " AS ", generic));
  if (Lost(prepared.status())) return prepared.status();
  if (!prepared.ok()) {
    return status::Error(absl::StatusCode::kInvalidArgument, kStatementUnplannable,
                         prepared.status().message());
  }
  auto count = connection_->Query(
      "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = $1",
      {kPrepared});
  auto gone = connection_->Query(absl::StrCat("DEALLOCATE ", kPrepared));
  if (!count.ok()) return count.status();
  if (!gone.ok()) return gone.status();
  out.generic = generic;
  out.parameters_count = count->empty() ? 0 : static_cast<int>(IntAt(count->front(), 0));
  auto plan = ExplainSample(out, 0);
  if (!plan.ok()) return plan.status();
  return out;
}

absl::StatusOr<Plan> WhatIf::ExplainSample(const PlannedStatement& statement, size_t sample) {
  if (!statement.samples.empty()) return ExplainText(statement.samples[sample]);
  // Prepared anew each time: a generic plan that is kept would not see a new hypothetical index.
  // The values do not matter to it (PostgreSQL 16 would have EXPLAIN (GENERIC_PLAN)).
  auto prepared = connection_->Query(absl::StrCat(
      "SET plan_cache_mode = force_generic_plan; PREPARE ", kPrepared, " AS ", statement.generic));
  if (!prepared.ok()) return prepared.status();
  const std::vector<std::string> nulls(statement.parameters_count, "NULL");
  const std::string list = nulls.empty() ? "" : absl::StrCat(" (", absl::StrJoin(nulls, ", "), ")");
  auto plan = ExplainText(absl::StrCat("EXECUTE ", kPrepared, list));
  auto gone = connection_->Query(absl::StrCat("DEALLOCATE ", kPrepared, "; RESET plan_cache_mode"));
  if (!gone.ok()) return gone.status();
  return plan;
}

absl::StatusOr<std::vector<Plan>> WhatIf::Explain(const PlannedStatement& statement) {
  std::vector<Plan> out;
  for (size_t i = 0; i < std::max<size_t>(1, statement.samples.size()); ++i) {
    auto plan = ExplainSample(statement, i);
    if (!plan.ok()) return plan.status();
    out.push_back(*std::move(plan));
  }
  return out;
}

}  // namespace slipstream::database_optimizer
