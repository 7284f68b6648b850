#include "services/database_optimizer/candidates/parse_tree.h"

#include <pg_query.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/database_optimizer/candidates/statement_shape.h"

namespace slipstream::database_optimizer {

namespace {

using nlohmann::json;

absl::Status Unreadable(absl::string_view why) {
  return status::Error(absl::StatusCode::kInvalidArgument, kStatementUnreadable,
                       absl::StrCat("the statement cannot be read: ", why));
}

// The parser of the JSON counts its depth, so that a hostile nesting ends here and not our stack.
json ParseBounded(const char* text) {
  const auto shallow = [](int depth, json::parse_event_t, json&) {
    return depth <= kMaxStatementDepth * 4;  // a level of SQL is up to four of the tree
  };
  return json::parse(text, shallow, /*allow_exceptions=*/false);
}

}  // namespace

absl::StatusOr<json> ParseTree(const std::string& sql) {
  if (sql.size() > kMaxParsedStatementBytes) return Unreadable("it is longer than 64 KiB");
  if (sql.find('\0') != std::string::npos) return Unreadable("it has a zero byte");
  PgQueryParseResult result = pg_query_parse(sql.c_str());
  if (result.error != nullptr) {
    const absl::Status bad = Unreadable(result.error->message);
    pg_query_free_parse_result(result);
    return bad;
  }
  json tree = ParseBounded(result.parse_tree);
  pg_query_free_parse_result(result);
  if (!tree.is_object() || !tree.contains("stmts") || !tree["stmts"].is_array()) {
    return Unreadable("it has no parse tree");
  }
  if (tree["stmts"].size() != 1) return Unreadable("it is not one statement");
  json& statement = tree["stmts"][0]["stmt"];
  if (!statement.is_object() || statement.size() != 1) return Unreadable("it is empty");
  return std::move(statement);
}

}  // namespace slipstream::database_optimizer
