// The tokens of strict JSON (RFC 8259) over a text in memory.
//
// Every Read* returns false on malformed input and keeps the reason in error(); the lexer is then
// at the fault. Thread safety: none; one lexer for one text. Copyable, so that a caller may look
// ahead.
#ifndef SERVICES_EDGE_TRANSCODER_JSON_LEXER_H_
#define SERVICES_EDGE_TRANSCODER_JSON_LEXER_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace slipstream::edge {

class JsonLexer {
 public:
  explicit JsonLexer(std::string_view text)
      : begin_(text.data()), at_(text.data()), end_(text.data() + text.size()) {}

  // The next character that is not white space, '\0' at the end. Does not consume it.
  char Peek() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r')) ++at_;
    return at_ == end_ ? '\0' : *at_;
  }
  bool AtEnd() { return Peek() == '\0' && at_ == end_; }
  bool Consume(char c) {
    if (Peek() != c || at_ == end_) return false;
    ++at_;
    return true;
  }

  // REQUIRES: Peek() == '"'. The view points into the text, or into *scratch when there were
  // escapes.
  bool ReadString(std::string* scratch, std::string_view* value);
  // A number by the JSON grammar, its text as it stands.
  bool ReadNumber(std::string_view* token);
  // "true", "false" or "null".
  bool ReadWord(std::string_view word);

  // "`}` expected, `]` found at byte 17".
  bool Expected(std::string_view what);
  bool Fail(std::string message);
  const std::string& error() const { return error_; }
  size_t offset() const { return static_cast<size_t>(at_ - begin_); }

 private:
  bool ReadEscape(std::string* out);
  bool ReadHex4(unsigned* value);

  const char* begin_;
  const char* at_;
  const char* end_;
  std::string error_;
};

// Whether `text` matches the JSON number grammar as a whole.
bool IsJsonNumber(std::string_view text);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_TRANSCODER_JSON_LEXER_H_
