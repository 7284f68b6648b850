#include "services/database_optimizer/query/checked_statement.h"

#include <pg_query.h>

#include <algorithm>
#include <iterator>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "nlohmann/json.hpp"

namespace slipstream::database_optimizer {

namespace {

using nlohmann::json;

absl::Status Refused(std::string_view reason, const std::string& message) {
  return status::Error(absl::StatusCode::kInvalidArgument,
                       absl::string_view(reason.data(), reason.size()), message);
}

// Beginnings of names, for families.
constexpr std::string_view kLastingFamilies[] = {
    "crosstab",
    "dblink",
    "lo_",
    "loread",
    "lowrite",
    "pg_advisory_",
    "pg_create_",
    "pg_drop_",
    "pg_logical_",
    "pg_ls_",
    "pg_read_",
    "pg_replication",
    "pg_stat_reset",
    "pg_stat_statements_reset",
    "pg_try_advisory_",
    "pg_wal_replay_",
    "query_to_xml",
};
// Sorted.
constexpr std::string_view kLasting[] = {
    "connectby",
    "nextval",
    "pg_backup_start",
    "pg_backup_stop",
    "pg_cancel_backend",
    "pg_export_snapshot",
    "pg_file_sync",
    "pg_file_write",
    "pg_import_system_collations",
    "pg_log_backend_memory_contexts",
    "pg_notify",
    "pg_promote",
    "pg_reload_conf",
    "pg_rotate_logfile",
    "pg_stat_file",
    "pg_switch_wal",
    "pg_terminate_backend",
    "set_config",
    "setseed",
    "setval",
    "ts_stat",
};

std::string FunctionName(const json& call) {
  const auto names = call.find("funcname");
  if (names == call.end() || names->empty()) return "";
  return absl::AsciiStrToLower(names->back().value("/String/sval"_json_pointer, std::string()));
}

// Walks the tree without recursion, as its depth is the caller's choice.
class Walk {
 public:
  explicit Walk(CheckedStatement* out) : out_(out) {}

  void Run(const json& root) {
    std::vector<const json*> left = {&root};
    while (!left.empty() && out_->status.ok()) {
      const json& node = *left.back();
      left.pop_back();
      if (node.is_object()) {
        for (const auto& [key, value] : node.items()) {
          Visit(key, value);
          if (value.is_structured()) left.push_back(&value);
        }
      } else {
        for (const json& value : node) {
          if (value.is_structured()) left.push_back(&value);
        }
      }
    }
    std::sort(out_->tables.begin(), out_->tables.end());
    out_->tables.erase(std::unique(out_->tables.begin(), out_->tables.end()), out_->tables.end());
  }

 private:
  void Visit(const std::string& key, const json& value) {
    if (key == "RangeVar") {
      out_->tables.push_back({value.value("schemaname", ""), value.value("relname", "")});
    } else if (key == "FuncCall") {
      const std::string name = FunctionName(value);
      if (HasLastingEffect(name)) {
        out_->status = Refused(
            kFunctionNotAllowed,
            absl::StrCat("the function ", name, " has effects beyond reading; it is not run"));
      }
    } else if (key == "intoClause") {
      NotReadOnly("SELECT INTO makes a table");
    } else if (key == "lockingClause") {
      NotReadOnly("FOR UPDATE and FOR SHARE lock rows");
    } else if (key == "InsertStmt" || key == "UpdateStmt" || key == "DeleteStmt" ||
               key == "MergeStmt") {
      NotReadOnly("it writes in a WITH query");
    }
  }
  void NotReadOnly(const char* why) {
    out_->status = Refused(kNotReadOnly, absl::StrCat("only statements that read are run: ", why));
  }

  CheckedStatement* const out_;
};

void Check(const json& tree, CheckedStatement* out) {
  const auto statements = tree.find("stmts");
  if (statements == tree.end() || statements->empty()) {
    out->status = Refused(kStatementInvalid, "the statement is empty");
    return;
  }
  if (statements->size() > 1) {
    out->status = Refused(kMultipleStatements, absl::StrCat("there are ", statements->size(),
                                                            " statements; Query runs one a call"));
    return;
  }
  const json& statement = statements->front().at("stmt");
  if (!statement.contains("SelectStmt")) {
    const std::string kind = statement.empty() ? "" : statement.begin().key();
    out->status =
        Refused(kNotReadOnly, absl::StrCat("only SELECT, VALUES, TABLE and WITH are run, not ",
                                           kind.substr(0, kind.find("Stmt"))));
    return;
  }
  Walk(out).Run(statement);
}

}  // namespace

bool HasLastingEffect(std::string_view name) {
  if (std::binary_search(std::begin(kLasting), std::end(kLasting), name)) return true;
  return std::any_of(
      std::begin(kLastingFamilies), std::end(kLastingFamilies),
      [&](std::string_view family) { return name.substr(0, family.size()) == family; });
}

CheckedStatement CheckStatement(std::string_view sql) {
  CheckedStatement out;
  out.sql = std::make_shared<const std::string>(sql);
  if (sql.find('\0') != std::string_view::npos) {
    out.status = Refused(kStatementInvalid, "the statement contains a zero byte");
    return out;
  }
  const std::unique_ptr<PgQueryParseResult, void (*)(PgQueryParseResult*)> parsed(
      new PgQueryParseResult(pg_query_parse(out.sql->c_str())), [](PgQueryParseResult* result) {
        pg_query_free_parse_result(*result);
        delete result;
      });
  if (parsed->error != nullptr) {
    out.status = Refused(kStatementInvalid,
                         absl::StrCat("the statement cannot be parsed: ", parsed->error->message,
                                      ", at character ", parsed->error->cursorpos));
    return out;
  }
  const json tree = json::parse(parsed->parse_tree, nullptr, /*allow_exceptions=*/false);
  if (tree.is_discarded()) {
    out.status = Refused(kStatementInvalid, "the statement is not valid UTF-8");
    return out;
  }
  Check(tree, &out);
  return out;
}

bool ParseTableName(std::string_view text, TableName* out) {
  constexpr size_t kMaxNameBytes = 63;
  std::vector<std::string> parts(1);
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      if (quoted && i + 1 < text.size() && text[i + 1] == '"') {
        parts.back() += '"';
        ++i;
      } else {
        quoted = !quoted;
      }
    } else if (c == '.' && !quoted) {
      parts.emplace_back();
    } else if (c == '\0') {
      return false;
    } else {
      parts.back() += quoted ? c : absl::ascii_tolower(static_cast<unsigned char>(c));
    }
  }
  if (quoted || parts.size() > 2) return false;
  for (const std::string& part : parts) {
    if (part.empty() || part.size() > kMaxNameBytes) return false;
  }
  *out = {parts.size() == 2 ? parts[0] : "", parts.back()};
  return true;
}

}  // namespace slipstream::database_optimizer
