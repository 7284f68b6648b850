#include "services/cache/secrets/fields.h"

#include <algorithm>
#include <array>
#include <string>

#include "services/cache/secrets/cookies.h"
#include "services/cache/secrets/decoders.h"
#include "services/cache/secrets/field_name.h"
#include "services/cache/secrets/field_value.h"
#include "services/cache/secrets/placeholder.h"
#include "services/cache/secrets/text.h"

namespace slipstream::cache::secrets {

namespace {

using namespace std::string_view_literals;

constexpr size_t kMinOpaqueBytes = 16;
constexpr size_t kMinInnerBytes = 10;

// A bare word of code that stands for a value: config.password, user.password, getToken(),
// os.environ[...], hashedPassword.
bool IsCode(std::string_view value) {
  const size_t name_end = EndOf(value, 0, value.size(), [](char c) {
    return IsAlpha(c) || c == '_' || c == '.' || c == '$' || c == '?' || c == '!';
  });
  if (name_end > 0 && name_end < value.size()) {
    const char call = value[name_end];
    if (call == '(' || call == '[' || value.substr(name_end, 2) == "->") return true;
  }
  if (name_end < value.size() && value[name_end] != '(') return false;
  bool dots = false, speaks = false;
  for (size_t i = 0; i < value.size(); ++i) {
    dots = dots || (value[i] == '.' && i > 0 && i + 1 < value.size());
    for (const std::string_view word : {"passw"sv, "secret"sv, "token"sv, "key"sv}) {
      speaks = speaks || HasAt(value, i, word);
    }
  }
  return dots || (speaks && value.size() > 4);
}

// Lower-case letters alone: an identifier that speaks of secrets would have a joint.
bool IsOneWord(std::string_view value) {
  return EndOf(value, 0, value.size(), IsLower) == value.size() && value != "password" &&
         value != "secret" && value != "token";
}

// "Password" under "password": a form's label.
bool IsLabel(std::string_view value, std::string_view name) {
  if (!IsUpper(value.front())) return false;
  size_t n = 0;
  for (const char c : value) {
    if (c == ' ' || c == ':' || c == '*' || c == '?') continue;
    while (n < name.size() && !IsAlnum(name[n])) ++n;
    if (n == name.size() || Lower(c) != Lower(name[n++])) return false;
  }
  return true;
}

bool IsNumber(std::string_view value) {
  for (const char c : value) {
    if (!IsDigit(c) && c != '.' && c != '-') return false;
  }
  return true;
}

// "the password is sha256-hashed".
bool IsAlgorithm(std::string_view value) {
  for (const std::string_view start : {"sha"sv, "md5"sv, "base64"sv, "utf"sv, "aes"sv, "argon2"sv,
                                       "pbkdf2"sv, "bcrypt"sv, "oauth2"sv, "x509"sv}) {
    if (HasAt(value, 0, start)) return true;
  }
  return false;
}

// Whether `value` is a secret under a name that says so.
bool IsSecret(const FieldValue& value, const FieldName& name, std::string_view name_text) {
  const std::string_view text = value.text;
  if (IsPlaceholder(text) || IsReference(text)) return false;
  if (name.says == NameSays::kPerhaps) {
    return LooksOpaque(text, kMinOpaqueBytes) && text.find("://") == text.npos;
  }
  const bool mixed = LooksOpaque(text, 6);
  // An object, an empty list, a set of a regular expression.
  const bool bare = value.form != FieldValue::kQuoted;
  if (bare && (text.front() == '{' || text.front() == '[')) return false;
  switch (value.form) {
    case FieldValue::kNone:
      return false;
    case FieldValue::kQuoted:
      return !IsProse(text) && !IsLabel(text, name_text);
    case FieldValue::kAssigned:
      // {"failed_password": 12} counts something; {"password": 123456} does not.
      if (IsNumber(text)) return name.exact && text.size() >= 4;
      return !IsCode(text) || IsOneWord(text);
    case FieldValue::kLine:
      if (IsNumber(text)) return name.exact && text.size() >= 4 && !value.more_words;
      // YAML's blocks, tags, aliases and anchors.
      if (std::string_view("|>!*&").find(text.front()) != text.npos) return false;
      if (IsCode(text)) return false;
      return mixed || (!value.more_words && !IsProse(text) && !IsLabel(text, name_text));
    case FieldValue::kJoined:
      // A key's parts, "shop:password:reset"; a part in the middle says even less.
      return mixed && !IsCode(text) && text.find('/') == text.npos &&
             (!value.inner_part || LooksOpaque(text, kMinInnerBytes));
    case FieldValue::kWord:
      return mixed && !IsCode(text) && !IsAlgorithm(text);
  }
  return false;
}

std::optional<Kind> CheckName(const Place& place, Progress&) {
  const FieldName name = NameAround(place.text, place.begin, place.end);
  if (name.says == NameSays::kNothing) return std::nullopt;
  const FieldValue value = ValueAfter(place.text, name.begin, name.end);
  if (value.form == FieldValue::kNone || value.text.empty()) return std::nullopt;
  const std::string_view name_text = place.text.substr(name.begin, name.end - name.begin);
  if (!IsSecret(value, name, name_text)) return std::nullopt;
  return name.says == NameSays::kPassword ? Kind::kPassword : Kind::kApiToken;
}

// Behind a scheme, as in "Bearer abc123": a credential rather than a word about one.
bool IsCredential(std::string_view text, size_t at) {
  const size_t end = EndOf(text, at, kMaxLookBytes, [](char c) {
    return IsAlnum(c) || c == '-' || c == '.' || c == '_' || c == '~' || c == '+' || c == '/' ||
           c == '=' || c == ':';
  });
  const std::string_view value = text.substr(at, end - at);
  if (value.size() < 3 || IsPlaceholder(value) || IsReference(value)) return false;
  if (ByteAt(text, end) == '(') return false;  // base64(user:password)
  // A parameter of a challenge: realm="...".
  if (value.back() == '=' && IsQuote(ByteAt(text, end))) return false;
  if (value.back() == '=' && ByteAt(text, end) == '\\') return false;
  if (LooksOpaque(value, 6) || (value.size() > 8 && value.back() == '=')) return true;
  if (IsCode(value) || value.size() < 8) return false;
  const char after = ByteAt(text, EndOf(text, end, 4, IsBlank));
  return after <= ' ' || IsQuote(after) || after == '\\';
}

// "Authorization: <scheme> <credential>", as header or member; also with a bare credential.
std::optional<Kind> CheckAuthorization(const Place& place, Progress&) {
  const std::string_view text = place.text;
  const auto skip = [&](size_t at) {
    return EndOf(text, at, 16, [](char c) {
      return IsBlank(c) || IsQuote(c) || c == '\\' || c == '[' || c == ']';
    });
  };
  size_t at = skip(place.end);
  if (ByteAt(text, at) != ':' && ByteAt(text, at) != '=' && ByteAt(text, at) != ',') {
    return std::nullopt;
  }
  if (ByteAt(text, at) == ',' && (at == place.end || !IsQuote(ByteAt(text, skip(at + 1) - 1)))) {
    return std::nullopt;  // a list of header names
  }
  at = skip(at + 1);
  const size_t word_end = EndOf(text, at, kMaxLookBytes, IsNameByte);
  const std::string_view word = text.substr(at, word_end - at);
  if (ByteAt(text, word_end) == ' ') {
    const size_t from = EndOf(text, word_end, 4, IsBlank);
    // AWS4-HMAC-SHA256 Credential=..., Digest username=...: the response is in the parameters.
    if (HasAt(word, 0, "aws4") || SameWord(word, "digest") || SameWord(word, "hawk")) {
      const size_t line = EndOf(text, from, kMaxLookBytes, [](char c) { return !IsEol(c); });
      const Makeup makeup = MakeupOf(text.substr(from, line - from));
      if (makeup.longest_alnum >= 16 && makeup.digits > 0) return Kind::kBearerToken;
      return std::nullopt;
    }
    if (IsCredential(text, from)) return Kind::kBearerToken;
    if (SameWord(word, "basic")) {  // user:password, however short
      const size_t end = EndOf(text, from, kMaxLookBytes, IsBase64);
      const std::string user = DecodeBase64(text.substr(from, end - from));
      if (user.find(':') != user.npos && ByteAt(text, end) != '(') return Kind::kBearerToken;
    }
  }
  const size_t end = EndOf(text, at, kMaxLookBytes, [](char c) {
    return IsNameByte(c) || c == '+' || c == '/' || c == '=';
  });
  const std::string_view bare = text.substr(at, end - at);
  if (LooksOpaque(bare, 12) && !IsReference(bare) && bare.find('=') == bare.npos) {
    return Kind::kBearerToken;
  }
  return std::nullopt;
}

// "Bearer <credential>" anywhere.
std::optional<Kind> CheckBearer(const Place& place, Progress&) {
  const std::string_view text = place.text;
  if (!BeginsWord(text, place.begin)) return std::nullopt;
  const size_t end = EndOf(text, place.end, kMaxLookBytes,
                           [](char c) { return IsBase64(c) || c == '.' || c == '~' || c == '='; });
  std::string_view value = text.substr(place.end, end - place.end);
  while (!value.empty() && value.back() == '.') value.remove_suffix(1);
  if (IsPlaceholder(value) || !LooksOpaque(value, kMinOpaqueBytes)) return std::nullopt;
  return Kind::kBearerToken;
}

// IDENTIFIED BY 'password', in SQL.
std::optional<Kind> CheckIdentifiedBy(const Place& place, Progress&) {
  const std::string_view text = place.text;
  const size_t at = EndOf(text, place.end, 8, IsBlank);
  if (!IsQuote(ByteAt(text, at))) return std::nullopt;
  const size_t end = EndOf(text, at + 1, kMaxLookBytes, [](char c) { return !IsQuote(c); });
  if (IsPlaceholder(text.substr(at + 1, end - at - 1))) return std::nullopt;
  return Kind::kPassword;
}

// curl -u user:password.
std::optional<Kind> CheckCurl(const Place& place, Progress&) {
  const std::string_view line = place.text.substr(
      place.end,
      EndOf(place.text, place.end, kMaxLookBytes, [](char c) { return !IsEol(c); }) - place.end);
  for (const std::string_view option : {"-u "sv, "--user "sv, "-u"sv}) {
    const size_t at = line.find(option);
    if (at == line.npos || (at > 0 && line[at - 1] != ' ')) continue;
    const size_t begin =
        EndOf(line, at + option.size(), 4, [](char c) { return IsBlank(c) || IsQuote(c); });
    const size_t end =
        EndOf(line, begin, kMaxLookBytes, [](char c) { return c > ' ' && !IsQuote(c); });
    const std::string_view user = line.substr(begin, end - begin);
    const size_t colon = user.find(':');
    if (colon == user.npos || colon == 0 || IsPlaceholder(user.substr(colon + 1))) continue;
    if (user.substr(colon, 3) == "://") continue;
    return Kind::kPassword;
  }
  return std::nullopt;
}

// scheme://user:password@host; the user may be empty (Redis).
std::optional<Kind> CheckUrl(const Place& place, Progress&) {
  const std::string_view text = place.text;
  const size_t end = EndOf(text, place.end, kMaxLookBytes, [](char c) {
    return c > ' ' && c != '/' && c != '?' && c != '#' && c != '"' && c != '<' && c != '>' &&
           c != '\\' && c != ')' && c != ',';
  });
  const std::string_view authority = text.substr(place.end, end - place.end);
  const size_t host = authority.rfind('@');
  if (host == authority.npos) return std::nullopt;
  const std::string_view user = authority.substr(0, host);
  const size_t colon = user.find(':');
  if (colon == user.npos) {
    // A token alone, as git takes it: https://TOKEN@host.
    if (LooksOpaque(user, kMinOpaqueBytes) && !IsPlaceholder(user)) return Kind::kApiToken;
    return std::nullopt;
  }
  if (IsPlaceholder(user.substr(colon + 1))) return std::nullopt;
  return Kind::kPassword;
}

}  // namespace

Literals FieldLiterals() {
  static constexpr std::array kLiterals = {
      Literal{"password", false, CheckName},
      Literal{"passwd", false, CheckName},
      Literal{"passwort", false, CheckName},
      Literal{"passphrase", false, CheckName},
      Literal{"passcode", false, CheckName},
      Literal{"pwd", false, CheckName},
      Literal{"kennwort", false, CheckName},
      Literal{"contrasena", false, CheckName},
      Literal{"senha", false, CheckName},
      Literal{"wachtwoord", false, CheckName},
      Literal{"motdepasse", false, CheckName},
      Literal{"mot_de_passe", false, CheckName},
      Literal{"jwt", false, CheckName},
      Literal{"identified by", false, CheckIdentifiedBy},
      Literal{"curl ", false, CheckCurl},
      Literal{"session", false, CheckCookieName},
      Literal{"pass", false, CheckName},
      Literal{"secret", false, CheckName},
      Literal{"token", false, CheckName},
      Literal{"key", false, CheckName},
      Literal{"authorization", false, CheckAuthorization},
      Literal{"bearer ", false, CheckBearer},
      Literal{"cookie", false, CheckCookieHeader},
      Literal{"sessid", false, CheckCookieName},
      Literal{"sessionid", false, CheckCookieName},
      Literal{"connect.sid", false, CheckCookieName},
      Literal{"://", true, CheckUrl},
  };
  return kLiterals;
}

}  // namespace slipstream::cache::secrets
