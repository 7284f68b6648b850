// Conditions, subqueries and parameters.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/database_optimizer/candidates/statement_analyzer.h"

namespace slipstream::database_optimizer::analysis {

void Analyzer::Conjunct(const json& node, bool alternative) {
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

void Analyzer::Boolean(const json& expression, bool alternative) {
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

void Analyzer::Add(const ColumnRef& column, Kind kind, bool alternative, std::string constant) {
  Read(column);
  out_.comparisons.push_back({column, kind, alternative, std::move(constant)});
}

std::optional<Kind> Analyzer::KindOf(const json& expression) {
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

void Analyzer::Compare(const json& expression, bool alternative) {
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

std::string Analyzer::ConstantOf(const json& node) {
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

void Analyzer::Bind(const json& node, const ColumnRef& column, Kind kind, const std::string& op,
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

void Analyzer::SubLink(const json& link) {
  const json& select = Member(Member(link, "subselect"), "SelectStmt");
  const auto outer = ColumnOf(Member(link, "testexpr"));
  Walk(Member(link, "testexpr"));
  if (!select.is_object()) return;
  const auto bound = std::exchange(bound_column_, std::nullopt);
  joined_with_ = TextMember(link, "subLinkType") == "ANY_SUBLINK" ? outer : std::nullopt;
  Select(select);
  bound_column_ = bound;
}

void Analyzer::Walk(const json& node) {
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

void Analyzer::Conjunctless(const json& node) {
  const size_t comparisons_count = out_.comparisons.size();
  const size_t joins_count = out_.joins.size();
  Conjunct(node, true);
  out_.comparisons.resize(comparisons_count);
  out_.joins.resize(joins_count);
}

void Analyzer::Arithmetic(const json& expression) {
  if (KindOf(expression)) return Conjunctless(json{{"A_Expr", expression}});
  const bool was = std::exchange(in_arithmetic_, true);
  // `column * $1`: what is computed with a column is a number unless it says otherwise.
  Walk(Member(expression, "lexpr"));
  Walk(Member(expression, "rexpr"));
  in_arithmetic_ = was;
}

void Analyzer::Cast(const json& cast) {
  const json& parameter = Member(Member(cast, "arg"), "ParamRef");
  if (!parameter.is_object()) return Walk(Member(cast, "arg"));
  Note(parameter, Parameter::Kind::kTyped, LastName(Member(Member(cast, "typeName"), "names")));
}

void Analyzer::Function(const json& call) {
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

void Analyzer::Note(const json& reference, Parameter::Kind kind, std::string type) {
  Parameter out;
  const json& number = Member(reference, "number");
  out.number = number.is_number_integer() ? number.get<int>() : 0;
  out.location = LocationOf(reference);
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
    if (bound_column_) {
      out.column = *bound_column_;
      out.end = bound_end_;
    }
  }
  out_.parameters.push_back(std::move(out));
}

}  // namespace slipstream::database_optimizer::analysis
