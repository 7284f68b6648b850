#include "services/database_optimizer/watch/postgres_query_explainer.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/status/status.h"
#include "services/database_optimizer/query/checked_statement.h"
#include "services/database_optimizer/watch/plan_text.h"
#include "services/database_optimizer/watch/read_only_work.h"
#include "services/database_optimizer/watch/rows.h"
#include "services/database_optimizer/watch/statement_parse.h"

namespace slipstream::database_optimizer {

namespace {

using Parameters = std::vector<std::optional<std::string>>;

constexpr absl::Duration kLockTimeout = absl::Seconds(2);
// For what comes before and after the statement itself.
constexpr absl::Duration kMargin = absl::Seconds(2);

absl::StatusOr<std::optional<std::string>> TextOf(const google::protobuf::Value& value) {
  switch (value.kind_case()) {
    case google::protobuf::Value::kNullValue:
      return std::nullopt;
    case google::protobuf::Value::kBoolValue:
      return std::string(value.bool_value() ? "true" : "false");
    case google::protobuf::Value::kNumberValue: {
      const double number = value.number_value();
      // Whole numbers without a point, so that an integer column takes them.
      if (std::abs(number) < 9.0e15 && std::trunc(number) == number) {
        return absl::StrCat(static_cast<int64_t>(number));
      }
      return absl::StrFormat("%.17g", number);
    }
    case google::protobuf::Value::kStringValue:
      if (value.string_value().find('\0') != std::string::npos) {
        return absl::InvalidArgumentError("a string without NUL bytes");
      }
      return value.string_value();
    default:
      return absl::InvalidArgumentError("null, boolean, number or string");
  }
}

absl::StatusOr<Parameters> ParametersOf(const v1::ExplainQueryRequest& request) {
  if (request.parameters_size() > PostgresQueryExplainer::kMaxParametersCount) {
    return status::FieldError("parameters",
                              absl::StrCat("at most 100, here are ", request.parameters_size()));
  }
  Parameters out;
  size_t bytes = 0;
  for (int i = 0; i < request.parameters_size(); ++i) {
    auto text = TextOf(request.parameters(i));
    if (!text.ok()) {
      return status::FieldError(absl::StrCat("parameters[", i, "]"), text.status().message());
    }
    if (*text) bytes += (*text)->size();
    out.push_back(*std::move(text));
  }
  if (bytes > PostgresQueryExplainer::kMaxParameterBytes) {
    return status::FieldError("parameters",
                              absl::StrCat("at most 1 MiB together, here are ", bytes, " bytes"));
  }
  return out;
}

absl::Status CheckRequest(const v1::ExplainQueryRequest& request) {
  const std::string& statement = request.statement();
  if (statement.empty()) return status::FieldError("statement", "needed: one SELECT");
  if (statement.size() > PostgresQueryExplainer::kMaxStatementCharacters) {
    return status::FieldError("statement",
                              absl::StrCat("at most 65536 bytes, here are ", statement.size()));
  }
  const auto parsed = ParseStatement(statement);
  if (!parsed.ok()) return parsed.status();
  // Writes, and functions whose effects a read-only transaction does not stop.
  if (absl::Status refused = CheckStatement(statement).status; !refused.ok()) return refused;
  if (parsed->parameters_count != request.parameters_size()) {
    return status::FieldError("parameters",
                              absl::StrCat("the statement has ", parsed->parameters_count,
                                           " parameters, here are ", request.parameters_size()));
  }
  return absl::OkStatus();
}

// The caller's statement is at fault, not the state of the service.
absl::Status Blame(const absl::Status& status) {
  if (status::Reason(status) == postgres::kStatementTimeout) {
    return status::Error(absl::StatusCode::kDeadlineExceeded, postgres::kStatementTimeout,
                         "the statement took longer than timeout_ms; raise it (at most 60000), or "
                         "leave analyze out to see the plan alone");
  }
  if (status::Reason(status) != postgres::kStatementRefused) return status;
  const std::string sqlstate = status::Metadata(status, "sqlstate").value_or("");
  const bool write = sqlstate == "25006";  // read_only_sql_transaction
  return status::Error(absl::StatusCode::kInvalidArgument,
                       write ? kWriteRefused : postgres::kStatementRefused, status.message(),
                       {{"sqlstate", sqlstate}});
}

struct Job {
  std::string statement;
  Parameters parameters;
  bool analyze = false;
  absl::Duration timeout;
};

absl::StatusOr<v1::ExplainQueryResponse> Run(postgres::Connection& connection, const Job& job) {
  absl::StatusOr<postgres::Rows> rows = absl::UnknownError("not run");
  {
    ReadOnlyWork work(connection);
    absl::Status begun = work.Begin(job.timeout, std::min(job.timeout, kLockTimeout));
    if (!begun.ok()) return begun;
    rows = connection.QueryOne(absl::StrCat(job.analyze ? "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "
                                                        : "EXPLAIN (FORMAT JSON) ",
                                            job.statement),
                               job.parameters);
  }
  if (job.analyze) connection.Query("SELECT pg_advisory_unlock_all()").status().IgnoreError();
  if (!rows.ok()) return Blame(rows.status());
  v1::ExplainQueryResponse out;
  if (!rows->empty()) out.set_plan_json(Text(rows->front(), 0));
  for (std::string& finding : PlanFindings(out.plan_json())) out.add_findings(std::move(finding));
  const PlanTimes times = TimesOf(out.plan_json());
  if (job.analyze) {
    out.set_planning_ms(times.planning_ms);
    out.set_execution_ms(times.execution_ms);
  }
  if (out.plan_json().size() > PostgresQueryExplainer::kMaxPlanBytes) {
    return status::Error(absl::StatusCode::kResourceExhausted, "PLAN_TOO_LARGE",
                         "the plan is larger than 1 MiB; explain a part of the statement");
  }
  return out;
}

}  // namespace

Async<absl::StatusOr<v1::ExplainQueryResponse>> PostgresQueryExplainer::Explain(
    v1::ExplainQueryRequest request, absl::Duration time_left) {
  if (request.timeout_ms() < 0 || request.timeout_ms() > kMaxTimeoutMs) {
    co_return status::FieldError(
        "timeout_ms", absl::StrCat("must be 1-60000, or 0 for 10000, is ", request.timeout_ms()));
  }
  if (absl::Status bad = CheckRequest(request); !bad.ok()) co_return bad;
  auto parameters = ParametersOf(request);
  if (!parameters.ok()) co_return parameters.status();
  Job job;
  job.statement = request.statement();
  job.parameters = *std::move(parameters);
  job.analyze = request.analyze();
  job.timeout =
      absl::Milliseconds(request.timeout_ms() == 0 ? kDefaultTimeoutMs : request.timeout_ms());
  const absl::Duration patience = std::min(time_left, job.timeout + kMargin);
  co_return co_await client_.Run<v1::ExplainQueryResponse>(
      patience,
      [job = std::move(job)](postgres::Connection& connection) { return Run(connection, job); });
}

}  // namespace slipstream::database_optimizer
