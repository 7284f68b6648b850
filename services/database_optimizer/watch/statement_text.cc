#include "services/database_optimizer/watch/statement_text.h"

#include <algorithm>
#include <cctype>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"

namespace slipstream::database_optimizer {

namespace {

bool IsSpace(char c) { return absl::ascii_isspace(static_cast<unsigned char>(c)); }
bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }
bool StartsWord(char c) {
  return absl::ascii_isalpha(static_cast<unsigned char>(c)) || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool InWord(char c) { return StartsWord(c) || IsDigit(c) || c == '$'; }

// The end of the comment that begins at `at`; `at` when none does. Block comments nest.
size_t SkipComment(std::string_view text, size_t at) {
  if (text.substr(at, 2) == "--") {
    const size_t line_end = text.find('\n', at);
    return line_end == std::string_view::npos ? text.size() : line_end + 1;
  }
  if (text.substr(at, 2) != "/*") return at;
  int depth = 0;
  size_t i = at;
  while (i < text.size()) {
    if (text.substr(i, 2) == "/*") {
      ++depth;
      i += 2;
    } else if (text.substr(i, 2) == "*/") {
      i += 2;
      if (--depth == 0) return i;
    } else {
      ++i;
    }
  }
  return text.size();
}

// The end of the literal whose opening quote is at `at`. `escapes`: a backslash takes the next
// character along; without it a backslash that might do so makes the rest of the text a literal.
size_t SkipString(std::string_view text, size_t at, bool escapes) {
  for (size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      if (escapes) {
        ++i;
      } else if (text.substr(i + 1, 1) == "'") {
        return text.size();
      }
    } else if (text[i] == '\'') {
      if (text.substr(i + 1, 1) != "'") return i + 1;
      ++i;
    }
  }
  return text.size();
}

// The end of the dollar-quoted literal that begins at `at`; `at` when none does.
size_t SkipDollarString(std::string_view text, size_t at) {
  size_t i = at + 1;
  if (i < text.size() && IsDigit(text[i])) return at;
  while (i < text.size() && (StartsWord(text[i]) || IsDigit(text[i]))) ++i;
  if (i >= text.size() || text[i] != '$') return at;
  const std::string_view tag = text.substr(at, i + 1 - at);
  const size_t close = text.find(tag, i + 1);
  return close == std::string_view::npos ? text.size() : close + tag.size();
}

size_t SkipNumber(std::string_view text, size_t at) {
  size_t i = at;
  while (i < text.size()) {
    const bool exponent =
        (text[i] == '+' || text[i] == '-') && i > at && (text[i - 1] == 'e' || text[i - 1] == 'E');
    if (!InWord(text[i]) && text[i] != '.' && !exponent) break;
    ++i;
  }
  return i;
}

// The greatest n of all $n; bounded, because the text is anybody's.
int HighestParameter(std::string_view text) {
  int highest = 0;
  for (size_t i = 0; i + 1 < text.size(); ++i) {
    if (text[i] != '$' || !IsDigit(text[i + 1])) continue;
    int number = 0;
    for (size_t j = i + 1; j < text.size() && IsDigit(text[j]) && number < 100000; ++j) {
      number = number * 10 + (text[j] - '0');
    }
    highest = std::max(highest, std::min(number, 65535));
  }
  return highest;
}

class Redactor {
 public:
  explicit Redactor(std::string_view text) : text_(text), next_(HighestParameter(text) + 1) {}

  std::string Run() {
    while (at_ < text_.size() && out_.size() < kMaxStatementBytes + 64) Step();
    while (!out_.empty() && (out_.back() == ' ' || out_.back() == ';')) out_.pop_back();
    return status::BoundedText(absl::string_view(out_.data(), out_.size()), kMaxStatementBytes);
  }

 private:
  void Constant(size_t end) {
    absl::StrAppend(&out_, "$", next_++);
    at_ = end;
  }
  void Copy(size_t end) {
    out_.append(text_.substr(at_, end - at_));
    at_ = end;
  }
  void Blank(size_t end) {
    if (!out_.empty() && out_.back() != ' ') out_ += ' ';
    at_ = end;
  }

  void Step() {
    const char c = text_[at_];
    if (const size_t end = SkipComment(text_, at_); end != at_) return Blank(end);
    if (IsSpace(c)) return Blank(at_ + 1);
    if (c == '\'') return Constant(SkipString(text_, at_, false));
    if (c == '"') {
      const size_t close = text_.find('"', at_ + 1);
      return Copy(close == std::string_view::npos ? text_.size() : close + 1);
    }
    if (c == '$') {
      if (const size_t end = SkipDollarString(text_, at_); end != at_) return Constant(end);
      size_t end = at_ + 1;
      while (end < text_.size() && IsDigit(text_[end])) ++end;
      return Copy(end);
    }
    if (StartsWord(c)) return Word();
    const bool fraction = c == '.' && at_ + 1 < text_.size() && IsDigit(text_[at_ + 1]);
    if (IsDigit(c) || fraction) return Constant(SkipNumber(text_, at_));
    Copy(at_ + 1);
  }

  // A word, or the prefix of a literal: E'', B'', X'', N'', U&''.
  void Word() {
    size_t end = at_;
    while (end < text_.size() && InWord(text_[end])) ++end;
    const std::string_view word = text_.substr(at_, end - at_);
    if (word.size() == 1 && end < text_.size()) {
      const char prefix = static_cast<char>(std::tolower(static_cast<unsigned char>(word[0])));
      if (text_[end] == '\'' && std::string_view("ebxn").find(prefix) != std::string_view::npos) {
        return Constant(SkipString(text_, end, prefix == 'e'));
      }
      if (prefix == 'u' && text_.substr(end, 2) == "&'") {
        return Constant(SkipString(text_, end + 1, false));
      }
    }
    Copy(end);
  }

  const std::string_view text_;
  size_t at_ = 0;
  int next_;
  std::string out_;
};

}  // namespace

std::string RedactConstants(std::string_view statement) { return Redactor(statement).Run(); }

std::string TraceIdOf(std::string_view statement) {
  constexpr std::string_view kKey = "traceparent='";
  constexpr size_t kTraceIdBytes = 32;
  constexpr size_t kTraceparentBytes = 55;  // 00-<32>-<16>-<2>
  const size_t key = statement.find(kKey);
  if (key == std::string_view::npos) return "";
  const std::string_view value = statement.substr(key + kKey.size(), kTraceparentBytes);
  if (value.size() < kTraceparentBytes || value[2] != '-' || value[35] != '-') return "";
  const std::string_view id = value.substr(3, kTraceIdBytes);
  const bool hex = std::all_of(id.begin(), id.end(),
                               [](char c) { return IsDigit(c) || (c >= 'a' && c <= 'f'); });
  const bool zero = id.find_first_not_of('0') == std::string_view::npos;
  return hex && !zero ? std::string(id) : "";
}

bool IsPlanned(std::string_view statement) {
  size_t at = 0;
  while (at < statement.size()) {
    const size_t end = SkipComment(statement, at);
    if (end != at) {
      at = end;
    } else if (IsSpace(statement[at]) || statement[at] == '(') {
      ++at;
    } else {
      break;
    }
  }
  size_t end = at;
  while (end < statement.size() && InWord(statement[end])) ++end;
  const std::string word =
      absl::AsciiStrToLower(absl::string_view(statement.data() + at, end - at));
  for (const char* planned :
       {"select", "insert", "update", "delete", "merge", "with", "values", "table"}) {
    if (word == planned) return true;
  }
  return false;
}

}  // namespace slipstream::database_optimizer
