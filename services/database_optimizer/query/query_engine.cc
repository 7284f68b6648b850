#include "services/database_optimizer/query/query_engine.h"

#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/async/ready.h"
#include "libs/postgres/type_names.h"
#include "libs/status/status.h"
#include "services/database_optimizer/query/query_values.h"

namespace slipstream::database_optimizer {

namespace {

absl::Status CheckFields(const v1::QueryRequest& request) {
  // Bytes: no statement that PostgreSQL needs is cut by that, as its words are ASCII.
  if (request.statement().empty() || request.statement().size() > QueryEngine::kMaxStatementChars) {
    return status::FieldError("statement",
                              absl::StrCat("must have 1-", QueryEngine::kMaxStatementChars,
                                           " characters, has ", request.statement().size()));
  }
  if (request.max_rows_count() < 0 || request.max_rows_count() > QueryEngine::kMaxRowsCount) {
    return status::FieldError("max_rows_count",
                              absl::StrCat("must be 1-", QueryEngine::kMaxRowsCount, ", or 0 for ",
                                           QueryEngine::kDefaultRowsCount));
  }
  if (request.cache_ttl_ms() < 0 || request.cache_ttl_ms() > QueryEngine::kMaxCacheTtlMs) {
    return status::FieldError("cache_ttl_ms",
                              absl::StrCat("must be 0-", QueryEngine::kMaxCacheTtlMs));
  }
  return absl::OkStatus();
}

// What PostgreSQL refused because of what was asked is the asker's error.
absl::Status Translated(const absl::Status& error) {
  const auto sqlstate = status::Metadata(error, "sqlstate");
  if (!sqlstate) return error;
  const auto as = [&](absl::StatusCode code, std::string_view reason) {
    return status::Error(code, absl::string_view(reason.data(), reason.size()), error.message(),
                         {{"sqlstate", *sqlstate}});
  };
  if (*sqlstate == "25006") return as(absl::StatusCode::kInvalidArgument, kNotReadOnly);
  if (*sqlstate == "42501") {
    return as(absl::StatusCode::kPermissionDenied, "DATABASE_PERMISSION_DENIED");
  }
  // Data, syntax and names, number of parameters, features.
  for (const char* prefix : {"22", "42", "08P01", "0A"}) {
    if (absl::StartsWith(*sqlstate, prefix)) {
      return as(absl::StatusCode::kInvalidArgument, kStatementInvalid);
    }
  }
  return error;
}

// False: not a type that is known by its number alone.
bool SetTypeName(uint32_t type, v1::QueryColumn* column) {
  const std::string_view name = postgres::BuiltInTypeName(type);
  column->set_type(name.data(), name.size());
  return !name.empty();
}

}  // namespace

Async<absl::Status> QueryEngine::Query(const v1::QueryRequest& request, postgres::Caller caller,
                                       v1::QueryResponse* response) {
  if (absl::Status bad = CheckFields(request); !bad.ok()) return async::Ready(std::move(bad));
  auto parameters = ParametersToText(request.parameters());
  if (!parameters.ok()) return async::Ready(parameters.status());
  StatementCache::Entry checked = statements_.Get(request.statement());
  if (!checked->status.ok()) return async::Ready(checked->status);
  postgres::Statement statement{.sql = checked->sql,
                                .parameters = *std::move(parameters),
                                .max_rows_count = request.max_rows_count() == 0
                                                      ? kDefaultRowsCount
                                                      : request.max_rows_count(),
                                .max_result_bytes = kMaxResultBytes};
  if (request.cache_ttl_ms() > 0 && cache_ != nullptr) {
    return RunCached(request, std::move(checked), std::move(statement), std::move(caller),
                     response);
  }
  return Run(std::move(statement), std::move(caller), request.allow_replica(), response);
}

Async<absl::Status> QueryEngine::Run(postgres::Statement statement, postgres::Caller caller,
                                     bool allow_replica, v1::QueryResponse* response) {
  auto result =
      co_await pool_.Run(std::move(statement), std::move(caller), {.allow_replica = allow_replica});
  if (!result.ok()) co_return Translated(result.status());
  for (int i = 0; i < result->columns_count(); ++i) {
    auto* column = response->add_columns();
    column->set_name(result->column_name(i).data(), result->column_name(i).size());
    if (!SetTypeName(result->column_type(i), column)) {
      column->set_type(co_await pool_.TypeName(result->column_type(i)));
    }
  }
  co_return FillRows(*result, response);
}

Async<absl::Status> QueryEngine::RunCached(const v1::QueryRequest& request,
                                           StatementCache::Entry checked,
                                           postgres::Statement statement, postgres::Caller caller,
                                           v1::QueryResponse* response) {
  auto tags = co_await tags_.ForRead(checked->tables, caller, QueryResultCache::kMaxTagsCount);
  if (!tags.ok()) co_return tags.status();
  auto answer = co_await cache_->Get(
      request, *std::move(tags),
      [this, statement = std::move(statement),
       caller = std::move(caller)]() -> Async<absl::StatusOr<v1::QueryResponse>> {
        v1::QueryResponse computed;
        absl::Status status = co_await Run(statement, caller, /*allow_replica=*/false, &computed);
        if (!status.ok()) co_return status;
        co_return computed;
      });
  if (!answer.ok()) co_return answer.status();
  *response = *std::move(answer);
  co_return absl::OkStatus();
}

absl::Status QueryEngine::FillRows(const postgres::Result& result, v1::QueryResponse* response) {
  response->mutable_rows()->Reserve(static_cast<int>(result.rows_count()));
  for (int64_t row = 0; row < result.rows_count(); ++row) {
    ToRow(result, row, response->add_rows());
  }
  response->set_truncated(result.truncated());
  response->set_duration_ms(absl::ToDoubleMilliseconds(result.duration()));
  // Small results cannot be too long.
  if (result.rows_count() > 1000 && response->ByteSizeLong() > kMaxResponseBytes) {
    response->Clear();
    return status::Error(absl::StatusCode::kResourceExhausted, postgres::kResultTooLarge,
                         absl::StrCat("the answer takes more than ", kMaxResponseBytes,
                                      " bytes; ask for fewer or narrower rows"));
  }
  return absl::OkStatus();
}

Async<absl::StatusOr<int>> QueryEngine::InvalidateTables(const v1::InvalidateTablesRequest& request,
                                                         postgres::Caller caller) {
  if (request.tables().empty() || request.tables_size() > kMaxTablesCount) {
    co_return status::FieldError(
        "tables", absl::StrCat("must be 1-", kMaxTablesCount, ", are ", request.tables_size()));
  }
  std::vector<TableName> tables;
  for (const std::string& text : request.tables()) {
    TableName name;
    if (!ParseTableName(text, &name)) {
      co_return status::FieldError(absl::StrCat("tables[", tables.size(), "]"),
                                   "must be table or schema.table, of names of at most 63 bytes");
    }
    tables.push_back(std::move(name));
  }
  const int count = static_cast<int>(tables.size());
  if (absl::Status status = co_await Invalidate(std::move(tables), std::move(caller));
      !status.ok()) {
    co_return status;
  }
  co_return count;
}

Async<absl::Status> QueryEngine::Invalidate(std::vector<TableName> tables,
                                            postgres::Caller caller) {
  if (cache_ == nullptr) co_return absl::OkStatus();
  auto tags = co_await tags_.ForWrite(tables, caller);
  co_return co_await cache_->Invalidate(std::move(tags));
}

Async<absl::StatusOr<postgres::Result>> QueryEngine::Write(postgres::Statement statement,
                                                           std::vector<TableName> tables,
                                                           postgres::Caller caller) {
  statement.access = postgres::Access::kWrite;
  auto result = co_await pool_.Run(std::move(statement), caller);
  // A refused statement changed nothing; of one whose connection broke nobody knows.
  const bool refused =
      !result.ok() && status::Reason(result.status()) == postgres::kStatementRefused;
  if (refused || tables.empty()) co_return result;
  absl::Status told = co_await Invalidate(std::move(tables), std::move(caller));
  if (result.ok() && !told.ok()) co_return told;
  co_return result;
}

}  // namespace slipstream::database_optimizer
