#include "services/database_optimizer/watch/statement_parse.h"

#include <pg_query.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"

namespace slipstream::database_optimizer {

namespace {

using Json = nlohmann::json;

absl::Status Refused(absl::string_view reason, absl::string_view message) {
  return status::Error(absl::StatusCode::kInvalidArgument, reason, message);
}

// "CreateRoleStmt" -> "CREATE ROLE".
std::string KindOf(absl::string_view node) {
  std::string out;
  for (const char c : node.substr(0, node.rfind("Stmt"))) {
    if (absl::ascii_isupper(c) && !out.empty()) out += ' ';
    out += absl::ascii_toupper(c);
  }
  return out;
}

// Looks at every node of the tree, without recursion: statements nest as deep as their author
// likes.
int GreatestParameter(const Json& root) {
  int greatest = 0;
  std::vector<std::pair<const Json*, std::string>> left = {{&root, ""}};
  while (!left.empty()) {
    const auto [node, name] = left.back();
    left.pop_back();
    if (node->is_object()) {
      if (name == "ParamRef") greatest = std::max(greatest, node->value("number", 0));
      for (const auto& [key, value] : node->items()) {
        if (value.is_structured()) left.emplace_back(&value, key);
      }
    } else if (node->is_array()) {
      for (const auto& value : *node) {
        if (value.is_structured()) left.emplace_back(&value, "");
      }
    }
  }
  return greatest;
}

}  // namespace

std::string Fingerprint(const std::string& statement) {
  PgQueryFingerprintResult result = pg_query_fingerprint(statement.c_str());
  std::string out = result.error == nullptr ? result.fingerprint_str : "";
  pg_query_free_fingerprint_result(result);
  return out;
}

absl::StatusOr<ParsedStatement> ParseStatement(const std::string& statement) {
  if (statement.find('\0') != std::string::npos) {
    return Refused(kNotParsed, "the statement contains a NUL byte; remove it");
  }
  PgQueryParseResult result = pg_query_parse(statement.c_str());
  if (result.error != nullptr) {
    absl::Status status =
        Refused(kNotParsed, absl::StrCat("the statement cannot be parsed: ", result.error->message,
                                         " (at character ", result.error->cursorpos, ")"));
    pg_query_free_parse_result(result);
    return status;
  }
  const Json tree = Json::parse(result.parse_tree, nullptr, /*allow_exceptions=*/false);
  pg_query_free_parse_result(result);
  const auto statements = tree.is_object() ? tree.find("stmts") : tree.end();
  const size_t count = statements == tree.end() ? 0 : statements->size();
  if (count != 1) {
    return Refused(kNotOneStatement, absl::StrCat("exactly one statement is allowed, here are ",
                                                  count, "; send them one by one"));
  }
  const Json& one = (*statements)[0].value("stmt", Json::object());
  ParsedStatement out;
  const std::string node = one.empty() ? "" : one.begin().key();
  out.kind = KindOf(node);
  out.planned = node == "SelectStmt" || node == "InsertStmt" || node == "UpdateStmt" ||
                node == "DeleteStmt" || node == "MergeStmt";
  out.parameters_count = GreatestParameter(one);
  return out;
}

}  // namespace slipstream::database_optimizer
