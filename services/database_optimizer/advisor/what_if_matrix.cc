#include "services/database_optimizer/advisor/what_if_matrix.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/status/status.h"

namespace slipstream::database_optimizer {

namespace {

struct Token {
  absl::string_view text;
  int line = 0;
};

// Everything up to a `;`: `head` := `values`.
struct Statement {
  std::vector<Token> head;
  std::vector<Token> values;
};

absl::Status Invalid(int line, absl::string_view what) {
  return status::Error(absl::StatusCode::kInvalidArgument, kWhatIfMatrixInvalid,
                       absl::StrCat("what-if matrix, line ", line, ": ", what));
}

// "['l_orderkey', 'l_partkey']" without what is not a name.
std::string NameOf(absl::string_view comment) {
  std::string name;
  for (char c : comment) {
    if (absl::string_view("[]'\"#\r").find(c) == absl::string_view::npos) name += c;
  }
  return std::string(absl::StripAsciiWhitespace(name));
}

// Cuts the text into statements; remembers the comment of each line that has values.
class Scanner {
 public:
  explicit Scanner(absl::string_view text) : text_(text) {}

  // False at the end of the text.
  bool Next(Statement& out) {
    out = {};
    bool after_head = false;
    for (;;) {
      const Token token = NextToken();
      if (token.text.empty()) return false;
      if (token.text == ";") return true;
      if (token.text == ":=") {
        after_head = true;
      } else {
        (after_head ? out.values : out.head).push_back(token);
      }
    }
  }

  int line() const { return line_; }
  std::string CommentOf(int line) const {
    const auto found = comments_.find(line);
    return found == comments_.end() ? "" : NameOf(found->second);
  }

 private:
  Token NextToken() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\n') ++line_;
      if (c == '#') {
        const size_t end = std::min(text_.find('\n', at_), text_.size());
        comments_[line_] = text_.substr(at_, end - at_);
        at_ = end;
      } else if (absl::ascii_isspace(c)) {
        ++at_;
      } else {
        break;
      }
    }
    const absl::string_view rest = text_.substr(at_);
    size_t length = 0;
    if (absl::StartsWith(rest, ":=")) {
      length = 2;
    } else if (absl::StartsWith(rest, ";")) {
      length = 1;
    } else {
      length = std::min(rest.find_first_of(" \t\r\n;#:"), rest.size());
      if (length == 0 && !rest.empty()) length = 1;  // a colon by itself
    }
    at_ += length;
    return {rest.substr(0, length), line_};
  }

  const absl::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
  std::map<int, absl::string_view> comments_;
};

class Parser {
 public:
  explicit Parser(absl::string_view text) : scanner_(text) {}

  absl::StatusOr<WhatIfMatrix> Parse() {
    Statement statement;
    while (scanner_.Next(statement)) {
      if (absl::Status bad = Read(statement); !bad.ok()) return bad;
    }
    if (!statement.head.empty()) {
      return Invalid(statement.head[0].line, "this statement has no `;` at its end");
    }
    return Assemble();
  }

 private:
  absl::Status Read(const Statement& statement) {
    if (statement.head.size() < 2) return absl::OkStatus();
    const absl::string_view kind = statement.head[0].text;
    const absl::string_view name = statement.head[1].text;
    if (kind == "set" && name == "QUERIES") return ReadQueries(statement);
    if (kind == "param" && name == "size") return ReadSizes(statement);
    if (kind == "param" && name == "costs") return ReadCosts(statement);
    if (kind == "set" && absl::StartsWith(name, "indexes_per_combination[")) {
      return ReadCombination(statement);
    }
    return absl::OkStatus();
  }

  static absl::Status Number(const Token& token, int& out) {
    if (absl::SimpleAtoi(token.text, &out)) return absl::OkStatus();
    return Invalid(token.line, absl::StrCat("`", token.text, "` is not a whole number"));
  }

  static absl::Status CheckRows(const Statement& statement, size_t width) {
    if (statement.values.size() % width == 0) return absl::OkStatus();
    return Invalid(statement.head[0].line, absl::StrCat("the values of `", statement.head[1].text,
                                                        "` do not come in rows of ", width));
  }

  absl::Status ReadQueries(const Statement& statement) {
    for (const auto& token : statement.values) {
      int id = 0;
      if (absl::Status bad = Number(token, id); !bad.ok()) return bad;
      if (!query_places_.emplace(id, static_cast<int>(out_.query_ids.size())).second) {
        return Invalid(token.line, absl::StrCat("query ", id, " is there twice"));
      }
      out_.query_ids.push_back(id);
    }
    return absl::OkStatus();
  }

  absl::Status ReadSizes(const Statement& statement) {
    if (absl::Status bad = CheckRows(statement, 2); !bad.ok()) return bad;
    for (size_t i = 0; i < statement.values.size(); i += 2) {
      int id = 0;
      if (absl::Status bad = Number(statement.values[i], id); !bad.ok()) return bad;
      double bytes = 0;  // some tools write 3.9e+07
      const Token& token = statement.values[i + 1];
      if (!absl::SimpleAtod(token.text, &bytes) || !(bytes >= 1 && bytes < 1e15)) {
        return Invalid(token.line, absl::StrCat("`", token.text, "` is not a size in bytes"));
      }
      if (!candidate_places_.emplace(id, static_cast<int>(out_.candidate_ids.size())).second) {
        return Invalid(token.line, absl::StrCat("the size of index ", id, " is there twice"));
      }
      out_.candidate_ids.push_back(id);
      out_.problem.size_bytes.push_back(static_cast<int64_t>(bytes));
      std::string name = scanner_.CommentOf(token.line);
      out_.index_names.push_back(name.empty() ? absl::StrCat(id) : std::move(name));
    }
    return absl::OkStatus();
  }

  absl::Status ReadCombination(const Statement& statement) {
    absl::string_view id_text = statement.head[1].text;
    absl::ConsumePrefix(&id_text, "indexes_per_combination[");
    absl::ConsumeSuffix(&id_text, "]");
    int id = 0;
    if (absl::Status bad = Number({id_text, statement.head[1].line}, id); !bad.ok()) return bad;
    auto [place, is_new] = combinations_.emplace(id, statement);
    if (is_new) return absl::OkStatus();
    return Invalid(statement.head[1].line, absl::StrCat("combination ", id, " is there twice"));
  }

  absl::Status ReadCosts(const Statement& statement) {
    if (absl::Status bad = CheckRows(statement, 3); !bad.ok()) return bad;
    costs_.insert(costs_.end(), statement.values.begin(), statement.values.end());
    return absl::OkStatus();
  }

  absl::StatusOr<WhatIfMatrix> Assemble() {
    for (const auto& [id, statement] : combinations_) {
      std::vector<int> members;
      for (const auto& token : statement.values) {
        int candidate = 0;
        if (absl::Status bad = Number(token, candidate); !bad.ok()) return bad;
        const auto found = candidate_places_.find(candidate);
        if (found == candidate_places_.end()) {
          return Invalid(token.line, absl::StrCat("index ", candidate, " has no size"));
        }
        members.push_back(found->second);
      }
      combination_places_[id] = static_cast<int>(out_.problem.combinations.size());
      out_.problem.combinations.push_back(std::move(members));
    }
    out_.problem.base_costs.assign(out_.query_ids.size(), -1);
    for (size_t i = 0; i < costs_.size(); i += 3) {
      if (absl::Status bad = AddCost(i); !bad.ok()) return bad;
    }
    for (size_t q = 0; q < out_.query_ids.size(); ++q) {
      if (out_.problem.base_costs[q] >= 0) continue;
      return Invalid(scanner_.line(),
                     absl::StrCat("query ", out_.query_ids[q], " has no cost with combination 0"));
    }
    if (out_.query_ids.empty()) return Invalid(scanner_.line(), "there is no `set QUERIES`");
    return std::move(out_);
  }

  absl::Status AddCost(size_t at) {
    int query = 0;
    int combination = 0;
    double cost = 0;
    if (absl::Status bad = Number(costs_[at], query); !bad.ok()) return bad;
    if (absl::Status bad = Number(costs_[at + 1], combination); !bad.ok()) return bad;
    const Token& token = costs_[at + 2];
    if (!absl::SimpleAtod(token.text, &cost) || !(cost >= 0)) {
      return Invalid(token.line, absl::StrCat("`", token.text, "` is not a cost"));
    }
    const auto place = query_places_.find(query);
    if (place == query_places_.end()) return absl::OkStatus();
    if (combination == 0) {
      out_.problem.base_costs[place->second] = cost;
      return absl::OkStatus();
    }
    const auto found = combination_places_.find(combination);
    if (found == combination_places_.end()) {
      return Invalid(token.line, absl::StrCat("combination ", combination, " is unknown"));
    }
    out_.problem.costs.push_back({place->second, found->second, cost});
    return absl::OkStatus();
  }

  Scanner scanner_;
  WhatIfMatrix out_;
  std::map<int, int> query_places_;
  std::map<int, int> candidate_places_;
  std::map<int, int> combination_places_;
  std::map<int, Statement> combinations_;
  std::vector<Token> costs_;
};

}  // namespace

absl::StatusOr<WhatIfMatrix> ParseWhatIfMatrix(absl::string_view text) {
  return Parser(text).Parse();
}

}  // namespace slipstream::database_optimizer
