#include "services/database_optimizer/watch/plan_capture.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/database_optimizer/watch/plan_text.h"
#include "services/database_optimizer/watch/read_only_work.h"
#include "services/database_optimizer/watch/rows.h"
#include "services/database_optimizer/watch/statement_parse.h"

namespace slipstream::database_optimizer {

namespace {

constexpr size_t kMaxMissingBytes = 255;
constexpr int kMaxParametersCount = 1000;

CapturedPlan Missing(absl::string_view why) {
  return {"", status::BoundedText(why, kMaxMissingBytes)};
}

absl::StatusOr<std::string> Explain(postgres::Connection& connection, const std::string& statement,
                                    int parameters_count) {
  ReadOnlyWork work(connection);
  absl::Status begun = work.Begin(kCaptureTimeout, kCaptureLockTimeout);
  if (!begun.ok()) return begun;
  std::string explained = statement;
  if (parameters_count > 0) {
    auto prepared = connection.QueryOne(absl::StrCat("PREPARE slipstream_plan AS ", statement));
    if (!prepared.ok()) return prepared.status();
    auto generic = connection.Query("SET LOCAL plan_cache_mode = force_generic_plan");
    if (!generic.ok()) return generic.status();
    explained = "EXECUTE slipstream_plan(NULL";
    for (int i = 1; i < parameters_count; ++i) explained += ", NULL";
    explained += ")";
  }
  auto rows = connection.QueryOne(absl::StrCat("EXPLAIN (FORMAT JSON) ", explained));
  if (!rows.ok()) return rows.status();
  return rows->empty() ? std::string() : Text(rows->front(), 0);
}

}  // namespace

CapturedPlan CapturePlan(postgres::Connection& connection, const std::string& statement,
                         bool cut_off) {
  if (cut_off) {
    return Missing(
        "the server shows only the statement's beginning: raise "
        "track_activity_query_size");
  }
  const auto parsed = ParseStatement(statement);
  if (!parsed.ok()) return Missing(parsed.status().message());
  if (!parsed->planned) return Missing(absl::StrCat(parsed->kind, " has no plan"));
  if (parsed->parameters_count > kMaxParametersCount) return Missing("too many parameters");
  const auto plan = Explain(connection, statement, parsed->parameters_count);
  if (parsed->parameters_count > 0 && status::Reason(plan.status()) != postgres::kUnreachable) {
    // Prepared statements outlive the transaction.
    connection.Query("DEALLOCATE ALL").status().IgnoreError();
  }
  if (!plan.ok()) return Missing(plan.status().message());
  std::string redacted = RedactPlan(*plan);
  if (redacted.size() > kMaxPlanBytes) return Missing("the plan is larger than 64 KiB");
  return {std::move(redacted), ""};
}

}  // namespace slipstream::database_optimizer
