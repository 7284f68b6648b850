#include "services/cache/secrets/placeholder.h"

#include <array>

#include "services/cache/secrets/text.h"

namespace slipstream::cache::secrets {

namespace {

using namespace std::string_view_literals;

constexpr size_t kMaxWordBytes = 32;

// Values that say what belongs here, or that nothing does.
constexpr std::array<std::string_view, 74> kPlaceWords = {
    "null",    "none",     "nil",       "undefined", "true",     "false",     "yes",      "no",
    "on",      "off",      "n/a",       "na",        "redacted", "hidden",    "masked",   "removed",
    "omitted", "filtered", "encrypted", "string",    "str",      "text",      "varchar",  "char",
    "bytes",   "byte",     "integer",   "int",       "number",   "boolean",   "bool",     "object",
    "array",   "any",      "required",  "optional",  "disabled", "enabled",   "unset",    "empty",
    "missing", "invalid",  "expired",   "unknown",   "example",  "sample",    "dummy",    "todo",
    "tbd",     "fixme",    "here",      "secretstr", "deleted",  "default",   "basic",    "bearer",
    "oauth",   "oauth2",   "jwt",       "field",     "value",    "incorrect", "wrong",    "failed",
    "ok",      "correct",  "weak",      "strong",    "rejected", "accepted",  "mismatch", "set",
    "changed", "unchanged"};

// Words of sentences and labels about credentials; no passphrase is made of them.
constexpr std::array<std::string_view, 58> kProseWords = {
    "your",    "the",     "a",      "an",       "is",       "are",        "must",     "please",
    "enter",   "type",    "new",    "old",      "current",  "confirm",    "repeat",   "forgot",
    "reset",   "change",  "choose", "invalid",  "wrong",    "incorrect",  "weak",     "strong",
    "for",     "to",      "of",     "and",      "or",       "not",        "with",     "at",
    "least",   "in",      "on",     "by",       "this",     "that",       "password", "passwort",
    "secret",  "token",   "key",    "required", "optional", "characters", "should",   "can",
    "will",    "be",      "used",   "use",      "has",      "have",       "no",       "mot",
    "usuario", "kennwort"};

template <size_t kCount>
bool IsOneOf(std::string_view word, const std::array<std::string_view, kCount>& words) {
  if (word.size() > kMaxWordBytes) return false;
  for (const std::string_view known : words) {
    if (SameWord(word, known)) return true;
  }
  return false;
}

// One byte again and again, or bytes that only mask: ***, xxxx, ----, ....
bool IsMask(std::string_view value) {
  bool same = true, masks = true;
  for (const char c : value) {
    same = same && Lower(c) == Lower(value[0]);
    // The bytes of U+2022 and U+25CF, the dots of password fields, are among them.
    masks = masks && (c == '*' || c == '.' || c == '_' || c == '-' || c == 'x' || c == 'X' ||
                      c == '?' || c == '#' || c == '\xe2' || c == '\x80' || c == '\xa2' ||
                      c == '\x97' || c == '\x8f' || c == '\xa6');
  }
  return masks || (same && value.size() > 1 && !IsDigit(value[0]));
}

// ${X}, $X, {{x}}, {x}, <x>, (x), [x], %s, %(x)s, @x@.
bool IsVariable(std::string_view value) {
  const char first = value.front(), last = value.back();
  if (first == '$') {
    const char second = ByteAt(value, 1);
    if (second == '{' || second == '(') return true;
    return (IsUpper(second) || second == '_') && value.find('$', 1) == value.npos &&
           EndOf(value, 1, value.size(), [](char c) { return IsUpper(c) || c == '_'; }) ==
               value.size();
  }
  if ((first == '{' && last == '}') || (first == '<' && last == '>') ||
      (first == '[' && last == ']') || (first == '(' && last == ')')) {
    return true;
  }
  if (first == '%' && (value.size() == 2 || ByteAt(value, 1) == '(' || last == '%')) return true;
  return first == '@' && last == '@' && value.size() > 2;
}

// YOUR_API_KEY, your-token-here, my_secret_password, <insert>, REPLACE_ME, example-token.
bool SpeaksOfItself(std::string_view value) {
  for (const std::string_view start :
       {"your-"sv, "your_"sv, "your"sv, "replace"sv, "insert"sv, "enter-"sv, "enter_"sv,
        "placeholder"sv, "example"sv, "dummy"sv, "sample"sv, "redacted"sv, "changeme_"sv,
        "change-me"sv, "to-be-"sv, "not-set"sv, "not_set"sv}) {
    if (!HasAt(value, 0, start)) continue;
    const Makeup makeup = MakeupOf(value);
    const bool joined = value.find_first_of("-_ ") != value.npos;
    if (makeup.digits <= (joined ? 2 : 0) && (!makeup.inner_capital || value.size() <= 24)) {
      return true;
    }
  }
  return false;
}

}  // namespace

bool IsPlaceholder(std::string_view value) {
  while (!value.empty() && (IsBlank(value.front()) || value.front() == '\\')) {
    value.remove_prefix(1);
  }
  while (!value.empty() && (IsBlank(value.back()) || value.back() == '\\')) value.remove_suffix(1);
  if (value.empty() || IsMask(value) || IsVariable(value) || SpeaksOfItself(value)) return true;
  std::string_view word = value.substr(0, value.find('|'));  // a rule: required|min:8
  while (!word.empty() &&
         (word.back() == '!' || word.back() == '?' || word.back() == '.' || word.back() == ')')) {
    word.remove_suffix(1);
  }
  if (!word.empty() && word.front() == '(') word.remove_prefix(1);
  return word.empty() || IsOneOf(word, kPlaceWords);
}

bool IsProse(std::string_view value) {
  if (value.find(' ') == value.npos) {
    // A label of another language.
    const Makeup makeup = MakeupOf(value);
    bool foreign = false;
    for (const char c : value) foreign = foreign || (c & 0x80) != 0;
    return foreign && makeup.digits == 0;
  }
  bool foreign = false;
  size_t begin = 0;
  for (size_t i = 0; i <= value.size(); ++i) {
    const char c = ByteAt(value, i);
    foreign = foreign || (c & 0x80) != 0;
    if (i < value.size() && (IsAlnum(c) || c == '\'')) continue;
    if (IsOneOf(value.substr(begin, i - begin), kProseWords)) return true;
    begin = i + 1;
  }
  return foreign && MakeupOf(value).digits == 0;
}

bool IsReference(std::string_view value) {
  for (const std::string_view start :
       {"arn:"sv, "projects/"sv, "vault:"sv, "op://"sv, "ref+"sv, "secretref:"sv, "secret/"sv,
        "kv/"sv, "env:"sv, "file:"sv, "./"sv, "../"sv, "http://"sv, "https://"sv, "urn:"sv,
        "data/"sv, "ssm:"sv, "sm://"sv}) {
    if (HasAt(value, 0, start)) return true;
  }
  if (value.front() != '/' && value.front() != '~') return false;
  for (const char c : value) {
    if (!IsLower(c) && !IsDigit(c) && c != '/' && c != '.' && c != '_' && c != '-' && c != '~') {
      return false;
    }
  }
  return true;
}

bool LooksOpaque(std::string_view value, size_t min_bytes) {
  if (value.size() < min_bytes) return false;
  for (const char c : value) {
    if (c <= ' ' || (c & 0x80) != 0) return false;
  }
  const Makeup makeup = MakeupOf(value);
  if (makeup.distinct < 5) return false;
  const int letters = makeup.lower + makeup.upper;
  return (letters > 0 && makeup.digits > 0) || (makeup.inner_capital && value.size() >= 8);
}

}  // namespace slipstream::cache::secrets
