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

std::string LockWords(const Json& clause) {
  const std::string strength = clause.value("strength", "");
  if (strength == "LCS_FORKEYSHARE") return "FOR KEY SHARE";
  if (strength == "LCS_FORSHARE") return "FOR SHARE";
  if (strength == "LCS_FORNOKEYUPDATE") return "FOR NO KEY UPDATE";
  return "FOR UPDATE";
}

// Looks at every node of the tree, without recursion: statements nest as deep as their author
// likes.
void Inspect(const Json& root, absl::string_view top, ParsedStatement& out) {
  std::vector<std::pair<const Json*, std::string>> left = {{&root, ""}};
  while (!left.empty()) {
    const auto [node, name] = left.back();
    left.pop_back();
    if (node->is_object()) {
      if (name == "ParamRef") {
        out.parameters_count = std::max(out.parameters_count, node->value("number", 0));
      } else if (name == "intoClause") {
        out.write = "SELECT INTO";
      } else if (name == "LockingClause" && out.write.empty()) {
        out.write = LockWords(*node);
      } else if (name == "InsertStmt" || name == "UpdateStmt" || name == "DeleteStmt" ||
                 name == "MergeStmt") {
        out.write = absl::StrCat(KindOf(name), name == top ? "" : " in WITH");
      }
    }
    if (node->is_object()) {
      for (const auto& [key, value] : node->items()) {
        if (value.is_structured()) left.emplace_back(&value, key);
      }
    } else if (node->is_array()) {
      for (const auto& value : *node) {
        if (value.is_structured()) left.emplace_back(&value, "");
      }
    }
  }
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
  if (!out.planned) out.write = out.kind;
  Inspect(one, node, out);
  return out;
}

}  // namespace slipstream::database_optimizer
