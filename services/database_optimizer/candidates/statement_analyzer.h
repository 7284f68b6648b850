// The walk over a parse tree that makes a StatementShape: one for each statement, used by
// statement_shape.cc alone.
//
// Thread safety: one thread. Errors: as AnalyzeStatement.
#ifndef SERVICES_DATABASE_OPTIMIZER_CANDIDATES_STATEMENT_ANALYZER_H_
#define SERVICES_DATABASE_OPTIMIZER_CANDIDATES_STATEMENT_ANALYZER_H_

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/database_optimizer/candidates/statement_shape.h"

namespace slipstream::database_optimizer::analysis {

using nlohmann::json;
using Kind = Comparison::Kind;

inline const json& Member(const json& node, const char* key) {
  static const json kNone;
  const auto found = node.is_object() ? node.find(key) : node.end();
  return node.is_object() && found != node.end() ? *found : kNone;
}

inline std::string TextMember(const json& node, const char* key) {
  const json& value = Member(node, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

// {"Type": {...}} has one member; its name and its value.
inline std::string TypeOf(const json& node) {
  return node.is_object() && node.size() == 1 ? node.begin().key() : std::string();
}
inline const json& Body(const json& node) { return node.begin().value(); }

inline std::string LastName(const json& names) {
  if (!names.is_array() || names.empty()) return "";
  return TextMember(Member(names.back(), "String"), "sval");
}

class Analyzer {
 public:
  explicit Analyzer(const Catalog& catalog) : catalog_(catalog) {}

  absl::StatusOr<StatementShape> Analyze(const json& statement);

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

  // Statements, and what they can name.
  void Select(const json& select);
  void Insert(const json& insert);
  void Update(const json& update);
  void Delete(const json& statement);
  static const json& Items(const json& node);
  void With(const json& with);
  bool IsCte(const std::string& name) const;
  // A RangeVar; the relation's place, or -1 when it is none of the catalog's.
  int AddTable(const json& range);
  void From(const json& items);
  void FromItem(const json& item);
  void Using(const json& names, size_t before, size_t middle);
  std::optional<ColumnRef> Named(const std::string& column, size_t begin, size_t end) const;
  bool Has(int relation, const std::string& column) const;
  void Read(const ColumnRef& column);
  // From the innermost level outwards, as SQL resolves names.
  std::optional<ColumnRef> Resolve(const json& reference);
  void Star(const json& reference);
  static int LocationOf(const json& node);
  // The column that a side of a comparison is, if it is one and nothing else.
  std::optional<ColumnRef> ColumnOf(const json& node);

  // Conditions. `alternative`: within an arm of an OR.
  void Conjunct(const json& node, bool alternative);
  void Boolean(const json& expression, bool alternative);
  void Add(const ColumnRef& column, Kind kind, bool alternative, std::string constant = "");
  static std::optional<Kind> KindOf(const json& expression);
  void Compare(const json& expression, bool alternative);
  // A constant that the statement itself shows; pg_stat_statements replaces most.
  static std::string ConstantOf(const json& node);
  // Notes what the parameters of the other side of a comparison stand for.
  void Bind(const json& node, const ColumnRef& column, Kind kind, const std::string& op,
            bool column_is_left);
  // EXISTS, IN and scalar subqueries. `x IN (SELECT y ...)` is a join of x and y.
  void SubLink(const json& link);

  // Lists, and everything else.
  void Targets(const json& targets);
  // ORDER BY and GROUP BY name a column, a place in the target list or a name given there.
  std::optional<ColumnRef> ListedColumn(const json& node, const json& targets);
  void Group(const json& select);
  void Sort(const json& select);
  void Limit(const json& node);
  void Walk(const json& node);
  // A condition of CASE: its parameters have a column, but no index serves it.
  void Conjunctless(const json& node);
  void Arithmetic(const json& expression);
  void Cast(const json& cast);
  void Function(const json& call);
  void Note(const json& reference, Parameter::Kind kind, std::string type);

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

}  // namespace slipstream::database_optimizer::analysis

#endif  // SERVICES_DATABASE_OPTIMIZER_CANDIDATES_STATEMENT_ANALYZER_H_
