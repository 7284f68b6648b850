#include "services/database_optimizer/candidates/statement_shape.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/database_optimizer/candidates/parse_tree.h"
#include "services/database_optimizer/candidates/statement_analyzer.h"

namespace slipstream::database_optimizer {

namespace analysis {

absl::StatusOr<StatementShape> Analyzer::Analyze(const json& statement) {
  const std::string type = TypeOf(statement);
  if (type == "SelectStmt") {
    Select(Body(statement));
  } else if (type == "InsertStmt") {
    Insert(Body(statement));
  } else if (type == "UpdateStmt") {
    Update(Body(statement));
  } else if (type == "DeleteStmt") {
    Delete(Body(statement));
  } else {
    return status::Error(absl::StatusCode::kInvalidArgument, kStatementUnreadable,
                         "only SELECT, INSERT, UPDATE and DELETE are examined");
  }
  std::sort(out_.parameters.begin(), out_.parameters.end(),
            [](const Parameter& a, const Parameter& b) { return a.location < b.location; });
  return std::move(out_);
}

void Analyzer::Select(const json& select) {
  scopes_.emplace_back();
  With(Member(select, "withClause"));
  for (const char* side : {"larg", "rarg"}) {
    if (Member(select, side).is_object()) Select(Member(select, side));
  }
  From(Member(select, "fromClause"));
  Walk(Member(select, "valuesLists"));
  Targets(Member(select, "targetList"));
  Conjunct(Member(select, "whereClause"), false);
  Conjunct(Member(select, "havingClause"), false);
  Group(select);
  Sort(select);
  Limit(Member(select, "limitCount"));
  Limit(Member(select, "limitOffset"));
  Walk(Member(select, "windowClause"));
  scopes_.pop_back();
}

void Analyzer::Insert(const json& insert) {
  out_.kind = StatementKind::kInsert;
  scopes_.emplace_back();
  With(Member(insert, "withClause"));
  const json& target = Member(insert, "relation");
  out_.written_table =
      catalog_.Find(TextMember(target, "schemaname"), TextMember(target, "relname"));
  if (const json& select = Member(Member(insert, "selectStmt"), "SelectStmt"); select.is_object()) {
    Select(select);
  }
  scopes_.pop_back();
}

void Analyzer::Update(const json& update) {
  out_.kind = StatementKind::kUpdate;
  scopes_.emplace_back();
  With(Member(update, "withClause"));
  const int relation = AddTable(Member(update, "relation"));
  From(Member(update, "fromClause"));
  if (relation >= 0) out_.written_table = out_.relations[relation].table;
  for (const json& target : Items(Member(update, "targetList"))) {
    const json& assigned = Member(target, "ResTarget");
    if (relation >= 0) out_.relations[relation].set_columns.insert(TextMember(assigned, "name"));
    Walk(Member(assigned, "val"));
  }
  Conjunct(Member(update, "whereClause"), false);
  Walk(Member(update, "returningList"));
  scopes_.pop_back();
}

void Analyzer::Delete(const json& statement) {
  out_.kind = StatementKind::kDelete;
  scopes_.emplace_back();
  With(Member(statement, "withClause"));
  const int relation = AddTable(Member(statement, "relation"));
  if (relation >= 0) out_.written_table = out_.relations[relation].table;
  From(Member(statement, "usingClause"));
  Conjunct(Member(statement, "whereClause"), false);
  Walk(Member(statement, "returningList"));
  scopes_.pop_back();
}

const json& Analyzer::Items(const json& node) {
  static const json kEmpty = json::array();
  return node.is_array() ? node : kEmpty;
}

void Analyzer::With(const json& with) {
  for (const json& item : Items(Member(with, "ctes"))) {
    const json& cte = Member(item, "CommonTableExpr");
    scopes_.back().ctes.insert(TextMember(cte, "ctename"));
    Walk(Member(cte, "ctequery"));
  }
}

bool Analyzer::IsCte(const std::string& name) const {
  return std::any_of(scopes_.begin(), scopes_.end(),
                     [&](const Scope& scope) { return scope.ctes.count(name) > 0; });
}

int Analyzer::AddTable(const json& range) {
  const std::string schema = TextMember(range, "schemaname");
  const std::string name = TextMember(range, "relname");
  std::string alias = TextMember(Member(range, "alias"), "aliasname");
  if (alias.empty()) alias = name;
  const int table = schema.empty() && IsCte(name) ? -1 : catalog_.Find(schema, name);
  int relation = -1;
  if (table >= 0) {
    relation = static_cast<int>(out_.relations.size());
    out_.relations.push_back({.table = table, .alias = alias});
  }
  scopes_.back().sources.push_back({std::move(alias), relation});
  return relation;
}

void Analyzer::From(const json& items) {
  for (const json& item : Items(items)) FromItem(item);
}

void Analyzer::FromItem(const json& item) {
  const std::string type = TypeOf(item);
  if (type == "RangeVar") {
    AddTable(Body(item));
  } else if (type == "JoinExpr") {
    const json& join = Body(item);
    const size_t before = scopes_.back().sources.size();
    FromItem(Member(join, "larg"));
    const size_t middle = scopes_.back().sources.size();
    FromItem(Member(join, "rarg"));
    Using(Member(join, "usingClause"), before, middle);
    Conjunct(Member(join, "quals"), false);
  } else if (type == "RangeSubselect") {
    Walk(Member(Body(item), "subquery"));
    scopes_.back().sources.push_back({TextMember(Member(Body(item), "alias"), "aliasname"), -1});
  } else {
    Walk(item);
  }
}

void Analyzer::Using(const json& names, size_t before, size_t middle) {
  for (const json& item : Items(names)) {
    const std::string name = TextMember(Member(item, "String"), "sval");
    const auto left = Named(name, before, middle);
    const auto right = Named(name, middle, scopes_.back().sources.size());
    if (left) Read(*left);
    if (right) Read(*right);
    if (left && right) out_.joins.emplace_back(*left, *right);
  }
}

std::optional<ColumnRef> Analyzer::Named(const std::string& column, size_t begin,
                                         size_t end) const {
  const Scope& scope = scopes_.back();
  for (size_t i = begin; i < end; ++i) {
    if (Has(scope.sources[i].relation, column)) return ColumnRef{scope.sources[i].relation, column};
  }
  return std::nullopt;
}

bool Analyzer::Has(int relation, const std::string& column) const {
  return relation >= 0 &&
         catalog_.table(out_.relations[relation].table).FindColumn(column) != nullptr;
}

void Analyzer::Read(const ColumnRef& column) {
  out_.relations[column.relation].columns.insert(column.column);
}

std::optional<ColumnRef> Analyzer::Resolve(const json& reference) {
  const json& fields = Items(Member(reference, "fields"));
  if (fields.empty()) return std::nullopt;
  const std::string column = LastName(fields);
  const std::string qualifier =
      fields.size() < 2 ? "" : TextMember(Member(fields[fields.size() - 2], "String"), "sval");
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    for (const Source& source : scope->sources) {
      if (!qualifier.empty() && source.alias != qualifier) continue;
      if (Has(source.relation, column)) return ColumnRef{source.relation, column};
      if (!qualifier.empty()) return std::nullopt;
    }
  }
  return std::nullopt;
}

void Analyzer::Star(const json& reference) {
  const json& fields = Items(Member(reference, "fields"));
  const std::string qualifier =
      fields.size() < 2 ? "" : TextMember(Member(fields[fields.size() - 2], "String"), "sval");
  for (const Source& source : scopes_.back().sources) {
    if (source.relation >= 0 && (qualifier.empty() || source.alias == qualifier)) {
      out_.relations[source.relation].every_column = true;
    }
  }
}

int Analyzer::LocationOf(const json& node) {
  const json& location = Member(node, "location");
  return location.is_number_integer() ? location.get<int>() : 0;
}

std::optional<ColumnRef> Analyzer::ColumnOf(const json& node) {
  const std::string type = TypeOf(node);
  if (type == "ColumnRef") return Resolve(Body(node));
  return std::nullopt;
}

void Analyzer::Targets(const json& targets) {
  const auto joined = std::exchange(joined_with_, std::nullopt);
  for (const json& item : Items(targets)) {
    const json& value = Member(Member(item, "ResTarget"), "val");
    const auto column = ColumnOf(value);
    if (joined && column && column->relation != joined->relation) {
      out_.joins.emplace_back(*joined, *column);
    }
    Walk(value);
  }
}

std::optional<ColumnRef> Analyzer::ListedColumn(const json& node, const json& targets) {
  const json& list = Items(targets);
  if (const json& place = Member(Member(Member(node, "A_Const"), "ival"), "ival");
      place.is_number_integer()) {
    const int64_t at = place.get<int64_t>();
    if (at < 1 || at > static_cast<int64_t>(list.size())) return std::nullopt;
    return ColumnOf(Member(Member(list[at - 1], "ResTarget"), "val"));
  }
  if (const auto column = ColumnOf(node)) return column;
  const std::string name = LastName(Member(Member(node, "ColumnRef"), "fields"));
  for (const json& item : list) {
    const json& target = Member(item, "ResTarget");
    if (!name.empty() && TextMember(target, "name") == name) return ColumnOf(Member(target, "val"));
  }
  return std::nullopt;
}

void Analyzer::Group(const json& select) {
  const json& targets = Member(select, "targetList");
  std::vector<ColumnRef> columns;
  for (const json& item : Items(Member(select, "groupClause"))) {
    const auto column = ListedColumn(item, targets);
    Walk(item);
    if (column) Read(*column);
    if (column && (columns.empty() || columns[0].relation == column->relation)) {
      columns.push_back(*column);
    }
  }
  if (columns.empty() && Member(select, "distinctClause").is_array()) {
    for (const json& item : Items(targets)) {
      const auto column = ColumnOf(Member(Member(item, "ResTarget"), "val"));
      if (column && (columns.empty() || columns[0].relation == column->relation)) {
        columns.push_back(*column);
      }
    }
  }
  if (!columns.empty()) out_.groups.push_back(std::move(columns));
}

void Analyzer::Sort(const json& select) {
  std::vector<SortColumn> columns;
  bool usable = true;
  for (const json& item : Items(Member(select, "sortClause"))) {
    const json& sort = Member(item, "SortBy");
    const auto column = ListedColumn(Member(sort, "node"), Member(select, "targetList"));
    Walk(Member(sort, "node"));
    usable =
        usable && column && (columns.empty() || columns[0].column.relation == column->relation);
    if (!usable) continue;
    Read(*column);
    columns.push_back({*column, TextMember(sort, "sortby_dir") == "SORTBY_DESC"});
  }
  if (!columns.empty()) out_.sorts.push_back(std::move(columns));
}

void Analyzer::Limit(const json& node) {
  if (!node.is_object()) return;
  out_.has_limit = true;
  in_limit_ = true;
  Walk(node);
  in_limit_ = false;
}

}  // namespace analysis

absl::StatusOr<StatementShape> AnalyzeStatement(const std::string& sql, const Catalog& catalog) {
  auto tree = ParseTree(sql);
  if (!tree.ok()) return tree.status();
  return analysis::Analyzer(catalog).Analyze(*tree);
}

}  // namespace slipstream::database_optimizer
