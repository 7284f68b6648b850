#include "services/database_optimizer/candidates/statement_shape.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/database_optimizer/candidates/parse_tree.h"

namespace slipstream::database_optimizer {

namespace {

using nlohmann::json;
using Kind = Comparison::Kind;

const json& Member(const json& node, const char* key) {
  static const json kNone;
  const auto found = node.is_object() ? node.find(key) : node.end();
  return node.is_object() && found != node.end() ? *found : kNone;
}

std::string TextMember(const json& node, const char* key) {
  const json& value = Member(node, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

// {"Type": {...}} has one member; its name and its value.
std::string TypeOf(const json& node) {
  return node.is_object() && node.size() == 1 ? node.begin().key() : std::string();
}
const json& Body(const json& node) { return node.begin().value(); }

std::string LastName(const json& names) {
  if (!names.is_array() || names.empty()) return "";
  return TextMember(Member(names.back(), "String"), "sval");
}

class Analyzer {
 public:
  explicit Analyzer(const Catalog& catalog) : catalog_(catalog) {}

  absl::StatusOr<StatementShape> Analyze(const json& statement) {
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

 private:
  // What one level of SELECT can name. `relation` -1: a subquery, a function or a CTE.
  struct Source {
    std::string alias;
    int relation;
  };
  struct Scope {
    std::vector<Source> sources;
    std::set<std::string> ctes;
  };

  // -- statements ----------------------------------------------------------------------------

  void Select(const json& select) {
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

  void Insert(const json& insert) {
    out_.kind = StatementKind::kInsert;
    scopes_.emplace_back();
    With(Member(insert, "withClause"));
    const json& target = Member(insert, "relation");
    out_.written_table =
        catalog_.Find(TextMember(target, "schemaname"), TextMember(target, "relname"));
    if (const json& select = Member(Member(insert, "selectStmt"), "SelectStmt");
        select.is_object()) {
      Select(select);
    }
    scopes_.pop_back();
  }

  void Update(const json& update) {
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

  void Delete(const json& statement) {
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

  static const json& Items(const json& node) {
    static const json kEmpty = json::array();
    return node.is_array() ? node : kEmpty;
  }

  void With(const json& with) {
    for (const json& item : Items(Member(with, "ctes"))) {
      const json& cte = Member(item, "CommonTableExpr");
      scopes_.back().ctes.insert(TextMember(cte, "ctename"));
      Walk(Member(cte, "ctequery"));
    }
  }

  bool IsCte(const std::string& name) const {
    return std::any_of(scopes_.begin(), scopes_.end(),
                       [&](const Scope& scope) { return scope.ctes.count(name) > 0; });
  }

  // A RangeVar; the relation's place, or -1 when it is none of the catalog's.
  int AddTable(const json& range) {
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

  void From(const json& items) {
    for (const json& item : Items(items)) FromItem(item);
  }

  void FromItem(const json& item) {
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

  void Using(const json& names, size_t before, size_t middle) {
    for (const json& item : Items(names)) {
      const std::string name = TextMember(Member(item, "String"), "sval");
      const auto left = Named(name, before, middle);
      const auto right = Named(name, middle, scopes_.back().sources.size());
      if (left) Read(*left);
      if (right) Read(*right);
      if (left && right) out_.joins.emplace_back(*left, *right);
    }
  }

  std::optional<ColumnRef> Named(const std::string& column, size_t begin, size_t end) const {
    const Scope& scope = scopes_.back();
    for (size_t i = begin; i < end; ++i) {
      if (Has(scope.sources[i].relation, column))
        return ColumnRef{scope.sources[i].relation, column};
    }
    return std::nullopt;
  }

  // -- columns -------------------------------------------------------------------------------

  bool Has(int relation, const std::string& column) const {
    return relation >= 0 &&
           catalog_.table(out_.relations[relation].table).FindColumn(column) != nullptr;
  }

  void Read(const ColumnRef& column) {
    out_.relations[column.relation].columns.insert(column.column);
  }

  // From the innermost level outwards, as SQL resolves names.
  std::optional<ColumnRef> Resolve(const json& reference) {
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

  void Star(const json& reference) {
    const json& fields = Items(Member(reference, "fields"));
    const std::string qualifier =
        fields.size() < 2 ? "" : TextMember(Member(fields[fields.size() - 2], "String"), "sval");
    for (const Source& source : scopes_.back().sources) {
      if (source.relation >= 0 && (qualifier.empty() || source.alias == qualifier)) {
        out_.relations[source.relation].every_column = true;
      }
    }
  }

  static std::optional<int> LocationOf(const json& node) {
    const json& location = Member(node, "location");
    return location.is_number_integer() ? location.get<int>() : 0;
  }

  // The column that a side of a comparison is, through casts such as those of varchar.
  std::optional<ColumnRef> ColumnOf(const json& node) {
    const std::string type = TypeOf(node);
    if (type == "ColumnRef") return Resolve(Body(node));
    return std::nullopt;
  }

  bool HasColumn(const json& node) {
    if (TypeOf(node) == "ColumnRef") return true;
    if (!node.is_structured()) return false;
    return std::any_of(node.begin(), node.end(), [&](const json& item) { return HasColumn(item); });
  }

  // -- conditions ----------------------------------------------------------------------------

  void Conjunct(const json& node, bool alternative) {
    const std::string type = TypeOf(node);
    if (type == "BoolExpr") return Boolean(Body(node), alternative);
    if (type == "A_Expr") return Compare(Body(node), alternative);
    if (type == "NullTest") {
      const auto column = ColumnOf(Member(Body(node), "arg"));
      if (column) {
        Add(*column,
            TextMember(Body(node), "nulltesttype") == "IS_NULL" ? Kind::kIsNull : Kind::kIsNotNull,
            alternative);
      }
    } else if (type == "BooleanTest") {
      const std::string test = TextMember(Body(node), "booltesttype");
      const auto column = ColumnOf(Member(Body(node), "arg"));
      if (column && (test == "IS_TRUE" || test == "IS_FALSE")) {
        Add(*column, test == "IS_TRUE" ? Kind::kIsTrue : Kind::kIsFalse, alternative);
      }
    } else if (type == "ColumnRef") {
      if (const auto column = ColumnOf(node)) Add(*column, Kind::kIsTrue, alternative);
    } else if (type == "SubLink") {
      return SubLink(Body(node));
    }
    Walk(node);
  }

  void Boolean(const json& expression, bool alternative) {
    const std::string op = TextMember(expression, "boolop");
    const json& args = Items(Member(expression, "args"));
    for (const json& arg : args) {
      if (op == "AND_EXPR") {
        Conjunct(arg, alternative);
      } else if (op == "OR_EXPR") {
        Conjunct(arg, true);
      } else if (const auto column = ColumnOf(arg)) {  // NOT flag
        Add(*column, Kind::kIsFalse, alternative);
        Walk(arg);
      } else if (TypeOf(arg) == "SubLink") {
        SubLink(Body(arg));
      } else {
        Walk(arg);  // a negated comparison is none that an index serves
      }
    }
  }

  void Add(const ColumnRef& column, Kind kind, bool alternative, std::string constant = "") {
    Read(column);
    out_.comparisons.push_back({column, kind, alternative, std::move(constant)});
  }

  static std::optional<Kind> KindOf(const json& expression) {
    const std::string kind = TextMember(expression, "kind");
    const std::string op = LastName(Member(expression, "name"));
    if (kind == "AEXPR_IN") return op == "=" ? std::optional(Kind::kEqual) : std::nullopt;
    if (kind == "AEXPR_BETWEEN" || kind == "AEXPR_BETWEEN_SYM") return Kind::kRange;
    if (kind == "AEXPR_LIKE" || kind == "AEXPR_ILIKE" || kind == "AEXPR_SIMILAR") {
      return Kind::kPattern;
    }
    if (kind != "AEXPR_OP" && kind != "AEXPR_OP_ANY") return std::nullopt;
    if (op == "=") return Kind::kEqual;
    if (op == "<" || op == "<=" || op == ">" || op == ">=") return Kind::kRange;
    return std::nullopt;
  }

  void Compare(const json& expression, bool alternative) {
    const auto kind = KindOf(expression);
    const json& left = Member(expression, "lexpr");
    const json& right = Member(expression, "rexpr");
    auto a = kind ? ColumnOf(left) : std::nullopt;
    auto b = kind ? ColumnOf(right) : std::nullopt;
    if (a && b && a->relation != b->relation) {
      Read(*a);
      Read(*b);
      if (*kind == Kind::kEqual) out_.joins.emplace_back(*a, *b);
      return;
    }
    if (a || b) {
      const json& other = a ? right : left;
      const ColumnRef column = a ? *a : *b;
      // What depends on columns of the same level is no constant; of an outer one it is while the
      // inner one runs, so it still may be looked up.
      Add(column, *kind, alternative, *kind == Kind::kEqual ? ConstantOf(other) : "");
      Bind(other, column, *kind, LastName(Member(expression, "name")), a.has_value());
      return;
    }
    Walk(left);
    Walk(right);
  }

  // A constant that the statement itself shows; pg_stat_statements replaces most.
  static std::string ConstantOf(const json& node) {
    const json& constant = Member(node, "A_Const");
    if (const json& text = Member(Member(constant, "sval"), "sval"); text.is_string()) {
      std::string out = "'";
      for (const char c : text.get<std::string>()) {
        if (c == '\'') out += '\'';
        out += c;
      }
      return out.find('\\') == std::string::npos ? out + "'" : "";
    }
    if (const json& number = Member(Member(constant, "ival"), "ival"); number.is_number_integer()) {
      return absl::StrCat(number.get<int64_t>());
    }
    return "";
  }

  // Notes what the parameters of the other side of a comparison stand for.
  void Bind(const json& node, const ColumnRef& column, Kind kind, const std::string& op,
            bool column_is_left) {
    bound_column_ = column;
    bound_pattern_ = kind == Kind::kPattern;
    bound_end_ = Parameter::End::kNone;
    bound_first_ = true;
    const json& range = Member(Member(node, "List"), "items");
    if (kind == Kind::kRange && range.is_array() && range.size() == 2) {
      bound_end_ = Parameter::End::kLow;
      Walk(range[0]);
      bound_end_ = Parameter::End::kHigh;
      bound_first_ = true;
      Walk(range[1]);
    } else if (range.is_array()) {
      for (const json& item : range) {
        bound_first_ = true;
        Walk(item);
      }
    } else {
      if (kind == Kind::kRange) {
        const bool above = !op.empty() && (op[0] == '>') == column_is_left;
        bound_end_ = above ? Parameter::End::kLow : Parameter::End::kHigh;
      }
      Walk(node);
    }
    bound_column_.reset();
  }

  // EXISTS, IN and scalar subqueries. `x IN (SELECT y ...)` is a join of x and y.
  void SubLink(const json& link) {
    const json& select = Member(Member(link, "subselect"), "SelectStmt");
    const auto outer = ColumnOf(Member(link, "testexpr"));
    Walk(Member(link, "testexpr"));
    if (!select.is_object()) return;
    const auto bound = std::exchange(bound_column_, std::nullopt);
    joined_with_ = TextMember(link, "subLinkType") == "ANY_SUBLINK" ? outer : std::nullopt;
    Select(select);
    bound_column_ = bound;
  }

  // -- lists ---------------------------------------------------------------------------------

  void Targets(const json& targets) {
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

  // ORDER BY and GROUP BY name a column, a place in the target list or a name given there.
  std::optional<ColumnRef> ListedColumn(const json& node, const json& targets) {
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
      if (!name.empty() && TextMember(target, "name") == name)
        return ColumnOf(Member(target, "val"));
    }
    return std::nullopt;
  }

  void Group(const json& select) {
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

  void Sort(const json& select) {
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

  void Limit(const json& node) {
    if (!node.is_object()) return;
    out_.has_limit = true;
    in_limit_ = true;
    Walk(node);
    in_limit_ = false;
  }

  // -- everything else -----------------------------------------------------------------------

  void Walk(const json& node) {
    const std::string type = TypeOf(node);
    if (type == "ColumnRef") {
      const json& fields = Items(Member(Body(node), "fields"));
      if (!fields.empty() && fields.back().contains("A_Star")) return Star(Body(node));
      if (const auto column = Resolve(Body(node))) Read(*column);
    } else if (type == "ParamRef") {
      Note(Body(node), Parameter::Kind::kOther, "");
    } else if (type == "SubLink") {
      SubLink(Body(node));
    } else if (type == "SelectStmt") {
      const auto bound = std::exchange(bound_column_, std::nullopt);
      Select(Body(node));
      bound_column_ = bound;
    } else if (type == "TypeCast") {
      Cast(Body(node));
    } else if (type == "FuncCall") {
      Function(Body(node));
    } else if (type == "A_Expr") {
      Arithmetic(Body(node));
    } else if (type == "CaseWhen") {
      Conjunctless(Member(Body(node), "expr"));
      Walk(Member(Body(node), "result"));
    } else if (node.is_structured()) {
      for (const json& item : node) Walk(item);
    }
  }

  // A condition of CASE: its parameters have a column, but no index serves it.
  void Conjunctless(const json& node) {
    const size_t comparisons_count = out_.comparisons.size();
    const size_t joins_count = out_.joins.size();
    Conjunct(node, true);
    out_.comparisons.resize(comparisons_count);
    out_.joins.resize(joins_count);
  }

  void Arithmetic(const json& expression) {
    if (KindOf(expression)) return Conjunctless(json{{"A_Expr", expression}});
    const bool was = std::exchange(in_arithmetic_, true);
    // `column * $1`: what is computed with a column is a number unless it says otherwise.
    Walk(Member(expression, "lexpr"));
    Walk(Member(expression, "rexpr"));
    in_arithmetic_ = was;
  }

  void Cast(const json& cast) {
    const json& parameter = Member(Member(cast, "arg"), "ParamRef");
    if (!parameter.is_object()) return Walk(Member(cast, "arg"));
    Note(parameter, Parameter::Kind::kTyped, LastName(Member(Member(cast, "typeName"), "names")));
  }

  void Function(const json& call) {
    const std::string name = LastName(Member(call, "funcname"));
    const json& args = Items(Member(call, "args"));
    const auto bound = std::exchange(bound_column_, std::nullopt);
    for (size_t i = 0; i < args.size(); ++i) {
      const json& parameter = Member(args[i], "ParamRef");
      if (parameter.is_object() && i == 0 && (name == "extract" || name == "date_part")) {
        Note(parameter, Parameter::Kind::kTyped, "field");
      } else if (parameter.is_object() && i == 0 && name == "date_trunc") {
        Note(parameter, Parameter::Kind::kTyped, "field");
      } else if (parameter.is_object() && i > 0 && name == "substring") {
        Note(parameter, Parameter::Kind::kNumber, "");
      } else {
        Walk(args[i]);
      }
    }
    Walk(Member(call, "agg_filter"));
    Walk(Member(call, "over"));
    Walk(Member(call, "agg_order"));
    bound_column_ = bound;
  }

  void Note(const json& reference, Parameter::Kind kind, std::string type) {
    Parameter out;
    const json& number = Member(reference, "number");
    out.number = number.is_number_integer() ? number.get<int>() : 0;
    out.location = *LocationOf(reference);
    out.kind = kind;
    out.type = std::move(type);
    if (in_limit_) {
      out.kind = Parameter::Kind::kLimit;
    } else if (bound_column_ && bound_first_ &&
               (kind != Parameter::Kind::kTyped || out.type != "interval")) {
      out.kind = bound_pattern_ ? Parameter::Kind::kPattern : Parameter::Kind::kColumn;
      out.column = *bound_column_;
      out.end = bound_end_;
      bound_first_ = false;
    } else if (kind == Parameter::Kind::kOther && (in_arithmetic_ || bound_column_)) {
      out.kind = Parameter::Kind::kNumber;
      out.in_arithmetic = true;
    }
    out_.parameters.push_back(std::move(out));
  }

  const Catalog& catalog_;
  StatementShape out_;
  std::vector<Scope> scopes_;
  std::optional<ColumnRef> joined_with_;   // of the IN whose subquery comes next
  std::optional<ColumnRef> bound_column_;  // what the parameters met now are compared with
  Parameter::End bound_end_ = Parameter::End::kNone;
  bool bound_pattern_ = false;
  bool bound_first_ = true;
  bool in_limit_ = false;
  bool in_arithmetic_ = false;
};

}  // namespace

absl::StatusOr<StatementShape> AnalyzeStatement(const std::string& sql, const Catalog& catalog) {
  auto tree = ParseTree(sql);
  if (!tree.ok()) return tree.status();
  return Analyzer(catalog).Analyze(*tree);
}

}  // namespace slipstream::database_optimizer
