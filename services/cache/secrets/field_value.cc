#include "services/cache/secrets/field_value.h"

#include <algorithm>

#include "services/cache/secrets/literal.h"
#include "services/cache/secrets/text.h"

namespace slipstream::cache::secrets {

namespace {

// Of a bare value; what is longer is judged by its beginning.
constexpr size_t kMaxBareBytes = 64;

bool EndsBare(char c) {
  return c <= ' ' || c == '&' || c == ';' || c == ',' || c == '"' || c == '\'' || c == '`' ||
         c == '<' || c == '>' || c == '}' || c == ']';
}

// The quoted text at `at`, where a quote stands behind `slashes` backslashes: it ends at the next
// such quote with as many.
std::string_view Quoted(std::string_view text, size_t at, size_t slashes) {
  const char quote = text[at];
  const size_t begin = at + 1;
  size_t seen = 0;
  size_t i = begin;
  for (; i < text.size() && i - begin < kMaxLookBytes; ++i) {
    if (text[i] == '\\') {
      ++seen;
      continue;
    }
    if (text[i] == quote && seen <= slashes) return text.substr(begin, i - seen - begin);
    seen = 0;
  }
  return text.substr(begin, i - begin);
}

// A bare value from `at`.
FieldValue Bare(std::string_view text, size_t at, FieldValue::Form form) {
  FieldValue out;
  size_t end = EndOf(text, at, kMaxBareBytes, [](char c) { return !EndsBare(c); });
  // An escaped quote or line end is none of it.
  const size_t slash = text.substr(at, end - at).find('\\');
  if (slash != text.npos) {
    const char escaped = ByteAt(text, at + slash + 1);
    if (escaped == '\0' || EndsBare(escaped) || escaped == 'n' || escaped == 'r') end = at + slash;
  }
  out.text = text.substr(at, end - at);
  if (out.text.empty()) return out;
  out.form = form;
  const size_t next = EndOf(text, end, 8, IsBlank);
  const char after = ByteAt(text, next);
  out.more_words = next > end && after > ' ' && after != '#' && after != '/' && after != '<';
  return out;
}

// A value from `at`, behind a separator of the given form.
FieldValue ValueAt(std::string_view text, size_t at, FieldValue::Form form) {
  at = EndOf(text, at, 64, IsBlank);
  if (ByteAt(text, at) == '[' || ByteAt(text, at) == '(') {  // a list of strings: its first
    const size_t first =
        EndOf(text, at + 1, 16, [](char c) { return IsBlank(c) || IsEol(c) || c == '\\'; });
    if (IsQuote(ByteAt(text, first)))
      at = EndOf(text, at + 1, 16, [](char c) { return IsBlank(c) || IsEol(c); });
  }
  size_t slashes = EndOf(text, at, 16, [](char c) { return c == '\\'; }) - at;
  // b'..', r"..", @"..".
  size_t quote = at + slashes;
  if (slashes == 0 && (IsAlpha(ByteAt(text, at)) || ByteAt(text, at) == '@') &&
      IsQuote(ByteAt(text, at + 1))) {
    quote = at + 1;
  }
  if (IsQuote(ByteAt(text, quote))) {
    // The quote behind "Password:" may end the text that the name stands in.
    const char next = ByteAt(text, quote + 1);
    if (next == ',' || next == '}' || next == ']' || next == '\0' || IsEol(next)) return {};
    return {FieldValue::kQuoted, Quoted(text, quote, slashes), false};
  }
  return Bare(text, at, form);
}

// {"name": "password", "value": "..."}, <add key="password" value="..."/>, and the same in YAML.
FieldValue ValueBeside(std::string_view text, size_t at) {
  const size_t word = EndOf(text, at, 48, [](char c) {
    return IsBlank(c) || IsEol(c) || IsQuote(c) || c == '\\' || c == ',' || c == '-';
  });
  if (word == at || !HasAt(text, word, "value")) return {};
  const size_t sep =
      EndOf(text, word + 5, 8, [](char c) { return IsQuote(c) || c == '\\' || c == ' '; });
  const char c = ByteAt(text, sep);
  if (c != ':' && c != '=') return {};
  FieldValue out = ValueAt(text, sep + 1, c == '=' ? FieldValue::kAssigned : FieldValue::kLine);
  out.beside = true;
  return out;
}

// A part of multipart/form-data: an empty line, then the value.
FieldValue ValueOfPart(std::string_view text, size_t at) {
  const size_t begin = EndOf(text, at, 4, IsEol);
  const std::string_view gap = text.substr(at, begin - at);
  if (gap != "\r\n\r\n" && gap != "\n\n") return {};
  return Bare(text, begin, FieldValue::kAssigned);
}

// <password>text</password>, attributes in between; `at` is behind the name.
FieldValue ValueOfElement(std::string_view text, size_t at) {
  const size_t tag_end =
      EndOf(text, at, kMaxLookBytes, [](char c) { return c != '>' && c != '<' && c != '/'; });
  if (ByteAt(text, tag_end) != '>') return {};
  const size_t from = tag_end + 1;
  const size_t to = EndOf(text, from, kMaxLookBytes, [](char c) { return c != '<'; });
  if (ByteAt(text, to) != '<' || ByteAt(text, to + 1) != '/') return {};
  return {FieldValue::kQuoted, text.substr(from, to - from), false};
}

// <entry key="db.password">.
bool NamesAnEntry(std::string_view text, size_t begin) {
  return (begin >= 5 && HasAt(text, begin - 5, "key=\"")) ||
         (begin >= 6 && HasAt(text, begin - 6, "name=\""));
}

// "my password is hunter2"; `at` is the next word.
size_t AfterVerb(std::string_view text, size_t at) {
  if (HasAt(text, at, "is ")) return at + 3;
  if (HasAt(text, at, "was ")) return at + 4;
  return at;
}

// Whether a value follows the name without a sign: behind "is", in .netrc, in SQL.
bool NamesInWords(std::string_view text, size_t begin, size_t at) {
  constexpr size_t kLoginBytes = 80;
  if (AfterVerb(text, at) != at) return true;
  if (begin >= 5 && HasAt(text, begin - 5, "with ") && ByteAt(text, at) == '\'') return true;
  const std::string_view before =
      text.substr(begin > kLoginBytes ? begin - kLoginBytes : 0, std::min(begin, kLoginBytes));
  return before.find("login ") != before.npos && before.find("machine ") != before.npos;
}

}  // namespace

FieldValue ValueAfter(std::string_view text, size_t begin, size_t end) {
  const size_t closed =
      EndOf(text, end, 8, [](char c) { return IsQuote(c) || c == '\\' || c == ']' || c == ')'; });
  const size_t at = EndOf(text, closed, 64, IsBlank);
  const char c = ByteAt(text, at);
  const char next = ByteAt(text, at + 1);
  if (c == ':' && next == '=') return ValueAt(text, at + 2, FieldValue::kLine);
  if (c == ':') {
    if (next == ':') return {};
    const bool joined = closed == end && !IsBlank(next) && !IsQuote(next);
    const bool in_quotes = begin > 0 && IsQuote(text[begin - 1]) && closed > end;
    FieldValue out = ValueAt(text, at + 1,
                             joined      ? FieldValue::kJoined
                             : in_quotes ? FieldValue::kAssigned
                                         : FieldValue::kLine);
    out.inner_part = begin > 0 && (text[begin - 1] == ':' || text[begin - 1] == '/');
    return out;
  }
  if (c == '=') {
    if (next == '=') return {};
    if (next == '>') return ValueAt(text, at + 2, FieldValue::kLine);
    const bool spaced = at > closed || IsBlank(next);
    return ValueAt(text, at + 1, spaced ? FieldValue::kLine : FieldValue::kAssigned);
  }
  if (begin > 0 && (text[begin - 1] == '<' || text[begin - 1] == ':'))
    return ValueOfElement(text, at);
  if (c == '>' && closed > end && NamesAnEntry(text, begin)) return ValueOfElement(text, at);
  if (at > end && closed == end && NamesInWords(text, begin, at)) {
    return ValueAt(text, AfterVerb(text, at), FieldValue::kWord);
  }
  if (at > end && closed == end && text.substr(begin, 2) == "--") {
    return ValueAt(text, at, FieldValue::kWord);
  }
  if (FieldValue beside = ValueBeside(text, end); beside.form != FieldValue::kNone) return beside;
  if (closed > end) return ValueOfPart(text, closed);
  return {};
}

}  // namespace slipstream::cache::secrets
