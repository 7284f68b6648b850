#include "services/cache/secrets/cookies.h"

#include <algorithm>

#include "services/cache/secrets/field_value.h"
#include "services/cache/secrets/placeholder.h"
#include "services/cache/secrets/text.h"

namespace slipstream::cache::secrets {

namespace {

using namespace std::string_view_literals;

constexpr size_t kMaxHeaderBytes = 16384;
constexpr size_t kMinValueBytes = 8;

bool Contains(std::string_view name, std::string_view lower) {
  for (size_t i = 0; i + lower.size() <= name.size(); ++i) {
    if (HasAt(name, i, lower)) return true;
  }
  return false;
}

// A cookie of this name proves who its holder is.
bool IsSessionName(std::string_view name) {
  for (const std::string_view harmless :
       {"csrf"sv, "xsrf"sv, "consent"sv, "theme"sv, "lang"sv, "locale"sv}) {
    if (Contains(name, harmless)) return false;
  }
  for (const std::string_view part :
       {"sess"sv, "token"sv, "auth"sv, "jwt"sv, "logged_in"sv, "remember"sv, "credential"sv,
        "login"sv, "identity"sv, "access"sv, "refresh"sv}) {
    if (Contains(name, part)) return true;
  }
  // sid, connect.sid, SSID, HSID, SAPISID.
  const size_t size = name.size();
  return size >= 3 && size <= 24 && HasAt(name, size - 3, "sid");
}

bool IsSessionValue(std::string_view value) {
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    value = value.substr(1, value.size() - 2);
  }
  if (value.size() < kMinValueBytes || IsPlaceholder(value)) return false;
  const Makeup makeup = MakeupOf(value);
  if (makeup.distinct < 5) return false;
  return (makeup.digits > 0 && makeup.longest_alnum >= 6) || makeup.inner_capital ||
         (value.size() >= 20 && makeup.longest_alnum >= 16);
}

// {"name": "value", ...}, as parsed cookies are kept.
std::optional<Kind> CheckCookieObject(std::string_view text, size_t at, Progress& progress) {
  const size_t limit = std::min(text.size(), at + kMaxHeaderBytes);
  std::string_view name;
  bool is_value = false;
  while (at < limit && text[at] != '}') {
    if (!IsQuote(text[at])) {
      is_value = text[at] == ':' || (is_value && text[at] != ',');
      ++at;
      continue;
    }
    const size_t end = EndOf(text, at + 1, 4096, [](char c) { return !IsQuote(c) && c != '\\'; });
    const std::string_view word = text.substr(at + 1, end - at - 1);
    if (is_value && IsSessionName(name) && IsSessionValue(word)) return Kind::kSessionCookie;
    if (!is_value && !word.empty()) name = word;
    at = end + 1;
  }
  progress.cookies_end = at;
  return std::nullopt;
}

}  // namespace

std::optional<Kind> CheckCookieHeader(const Place& place, Progress& progress) {
  const std::string_view text = place.text;
  if (place.begin < progress.cookies_end) return std::nullopt;
  const auto blank = [](char c) {
    return IsBlank(c) || IsQuote(c) || c == '\\' || c == '[' || c == ']';
  };
  size_t at = place.end;
  if (ByteAt(text, at) == 's') ++at;
  at = EndOf(text, at, 16, blank);
  const char separator = ByteAt(text, at);
  if (separator != ':' && separator != '=' && separator != ',') return std::nullopt;
  if (separator == ',' && !IsQuote(text[at - 1])) return std::nullopt;
  at = EndOf(text, at + 1, 16, blank);
  if (ByteAt(text, at) == '{') return CheckCookieObject(text, at, progress);
  const size_t limit = std::min(text.size(), at + kMaxHeaderBytes);
  while (at < limit) {
    const size_t name_end = EndOf(text, at, 64, IsNameByte);
    progress.cookies_end = name_end;
    if (ByteAt(text, name_end) != '=' || name_end == at) {
      // An attribute without a value ("Secure"), or the header's end.
      if (name_end == at || ByteAt(text, name_end) != ';') return std::nullopt;
      at = EndOf(text, name_end + 1, 8, IsBlank);
      continue;
    }
    const size_t begin = name_end + 1;
    const size_t end = EndOf(text, begin, 4096, [](char c) {
      return c > ' ' && c != ';' && c != '"' && c != '\'' && c != '\\' && c != '<';
    });
    progress.cookies_end = end;
    if (IsSessionName(text.substr(at, name_end - at)) &&
        IsSessionValue(text.substr(begin, end - begin))) {
      return Kind::kSessionCookie;
    }
    // The rest of a value with blanks in it (Expires=Wed, 21 Oct ...).
    const size_t next = EndOf(text, end, 64, [](char c) {
      return c != ';' && !IsEol(c) && c != '"' && c != '\'' && c != '\\';
    });
    if (ByteAt(text, next) == ';') {
      at = EndOf(text, next + 1, 8, IsBlank);
      continue;
    }
    // The next header of a list, ["a=b; Path=/", "sid=..."].
    at = EndOf(text, next, 16, [&](char c) { return blank(c) || c == ','; });
    if (at == next || !IsQuote(text[at - 1]) || text[next] == ',' ||
        text.substr(next, at - next).find(',') == text.npos) {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

std::optional<Kind> CheckCookieName(const Place& place, Progress&) {
  const std::string_view text = place.text;
  size_t begin = place.begin;
  while (begin > 0 && place.begin - begin < 32 && IsNameByte(text[begin - 1])) --begin;
  FieldValue value = ValueAfter(text, begin, place.end);
  if (ByteAt(text, place.end) == '\t') {  // a line of curl's cookie jar
    const size_t end = EndOf(text, place.end + 1, 4096, [](char c) { return c > ' '; });
    value = {FieldValue::kAssigned, text.substr(place.end + 1, end - place.end - 1), false};
  }
  // As a field ("session_id": "...") an application's own name for anything; as an assignment or
  // beside its value a cookie's.
  const bool upper = text.substr(place.begin, place.end - place.begin) == "SESSID" ||
                     text.substr(place.begin, place.end - place.begin) == "SESSIONID";
  const bool cookie = value.form == FieldValue::kAssigned || value.beside || upper ||
                      place.literal.text == "connect.sid";
  if (!cookie || !LooksOpaque(value.text, 16) || IsPlaceholder(value.text)) return std::nullopt;
  return Kind::kSessionCookie;
}

}  // namespace slipstream::cache::secrets
