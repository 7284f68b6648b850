#include "services/cache/secrets/field_name.h"

#include <array>

#include "services/cache/secrets/text.h"

namespace slipstream::cache::secrets {

namespace {

using namespace std::string_view_literals;

constexpr size_t kMaxNameBytes = 64;

// What may follow the word within the name and changes nothing: password2, passwordConfirmation.
constexpr std::array<std::string_view, 12> kTails = {
    "_confirmation", "_confirm", "confirmation", "confirm", "_repeat", "repeat",
    "_again",        "_plain",   "_plaintext",   "_value",  "s",       "_base"};

size_t EndWithTail(std::string_view text, size_t end) {
  size_t at = EndOf(text, end, 3, IsDigit);
  if (at == end && ByteAt(text, at) == '_' && IsDigit(ByteAt(text, at + 1))) {
    at = EndOf(text, at + 1, 3, IsDigit);
  }
  if (at == end) {
    for (const std::string_view tail : kTails) {
      if (HasAt(text, end, tail) && !IsAlnum(ByteAt(text, end + tail.size()))) {
        at = end + tail.size();
        break;
      }
    }
  }
  return at;
}

bool GoesOn(std::string_view text, size_t at) {
  const char c = ByteAt(text, at);
  if (IsAlnum(c) || c == '_') return true;
  return (c == '-' || c == '.') && IsAlnum(ByteAt(text, at + 1));
}

// "API key: ...", "client secret: ...": the word before the space belongs to the name.
size_t BeginWithWordBefore(std::string_view text, size_t begin) {
  if (begin == 0 || text[begin - 1] != ' ') return begin;
  for (const std::string_view word :
       {"api"sv, "access"sv, "client"sv, "private"sv, "auth"sv, "refresh"sv, "bearer"sv, "secret"sv,
        "session"sv, "account"sv, "encryption"sv}) {
    const size_t size = word.size() + 1;
    if (begin >= size && HasAt(text, begin - size, word) && BeginsWord(text, begin - size)) {
      return begin - size;
    }
  }
  return begin;
}

// Lower case, without what joins words.
size_t Normalize(std::string_view name, char* out) {
  size_t size = 0;
  for (const char c : name) {
    if (IsAlnum(c)) out[size++] = Lower(c);
  }
  return size;
}

// Names that ask or tell about a password rather than hold one; what follows has to look like one.
bool IsAboutIt(std::string_view normal, std::string_view word) {
  normal.remove_suffix(word.size());
  for (const std::string_view verb :
       {"is"sv,       "has"sv,       "no"sv,     "not"sv,      "show"sv,     "hide"sv,
        "forgot"sv,   "forgotten"sv, "reset"sv,  "change"sv,   "requires"sv, "require"sv,
        "use"sv,      "enable"sv,    "allow"sv,  "needs"sv,    "with"sv,     "without"sv,
        "remember"sv, "save"sv,      "verify"sv, "valid"sv,    "invalid"sv,  "wrong"sv,
        "missing"sv,  "incorrect"sv, "check"sv,  "generate"sv, "set"sv,      "update"sv,
        "expired"sv,  "weak"sv,      "top"sv,    "public"sv,   "failed"sv,   "lost"sv,
        "choose"sv,   "enter"sv,     "create"sv, "label"sv}) {
    if (EndsWith(normal, verb)) return true;
  }
  return false;
}

template <size_t kCount>
bool EndsWithOneOf(std::string_view normal, const std::array<std::string_view, kCount>& ends) {
  for (const std::string_view end : ends) {
    if (EndsWith(normal, end)) return true;
  }
  return false;
}

constexpr std::array<std::string_view, 16> kKeyNames = {
    "apikey",        "privatekey", "secretkey", "secretaccesskey", "accountkey",   "encryptionkey",
    "signingkey",    "masterkey",  "hmackey",   "sharedaccesskey", "apisecretkey", "sshkey",
    "decryptionkey", "appkey",     "authkey",   "integrationkey"};
constexpr std::array<std::string_view, 4> kPerhapsKeyNames = {"accesskey", "subscriptionkey",
                                                              "servicekey", "sharedkey"};
constexpr std::array<std::string_view, 20> kTokenNames = {
    "accesstoken", "refreshtoken", "idtoken",    "authtoken",          "authenticationtoken",
    "bearertoken", "sessiontoken", "apitoken",   "securitytoken",      "oauthtoken",
    "usertoken",   "logintoken",   "jwttoken",   "bottoken",           "privatetoken",
    "deploytoken", "servicetoken", "admintoken", "authorizationtoken", "secrettoken"};
constexpr std::array<std::string_view, 12> kHarmlessTokenNames = {
    "pagetoken",   "nexttoken", "continuationtoken", "csrftoken", "xsrftoken", "synctoken",
    "cursortoken", "stoptoken", "eostoken",          "bostoken",  "padtoken",  "unktoken"};

NameSays Classify(std::string_view normal, std::string_view word) {
  if (word == "key") {
    if (EndsWith(normal, "publickey")) return NameSays::kNothing;
    if (EndsWithOneOf(normal, kKeyNames)) return NameSays::kToken;
    return EndsWithOneOf(normal, kPerhapsKeyNames) ? NameSays::kPerhaps : NameSays::kNothing;
  }
  if (word == "token") {
    if (EndsWithOneOf(normal, kHarmlessTokenNames)) return NameSays::kNothing;
    return EndsWithOneOf(normal, kTokenNames) ? NameSays::kToken : NameSays::kPerhaps;
  }
  if (IsAboutIt(normal, word)) return NameSays::kPerhaps;
  if (word == "pass") {
    for (const std::string_view owner :
         {"db"sv, "smtp"sv, "mysql"sv, "postgres"sv, "redis"sv, "ftp"sv, "mail"sv, "user"sv,
          "admin"sv, "root"sv, "ldap"sv, "proxy"sv, "database"sv}) {
      if (EndsWith(normal.substr(0, normal.size() - word.size()), owner)) {
        return NameSays::kPassword;
      }
    }
    return normal == word ? NameSays::kPerhaps : NameSays::kNothing;
  }
  if (word == "jwt") return NameSays::kPerhaps;
  return NameSays::kPassword;
}

}  // namespace

FieldName NameAround(std::string_view text, size_t begin, size_t end) {
  FieldName out;
  out.end = EndWithTail(text, end);
  if (GoesOn(text, out.end)) return out;
  out.begin = begin;
  while (out.begin > 0 && begin - out.begin < kMaxNameBytes / 2 &&
         IsNameByte(text[out.begin - 1])) {
    --out.begin;
  }
  // The letter of an escape is none of the name's: \npassword=.
  if (out.begin > 0 && out.begin < begin && text[out.begin - 1] == '\\') ++out.begin;
  char word[16], normal[kMaxNameBytes];
  const size_t word_size = Normalize(text.substr(begin, end - begin), word);
  // "top_secret" and "db.secret" are names of their own; "mysecret" and "Xsecret" count as well,
  // but a word that only ends in the literal ("compass", "monkey") is left to Classify's lists.
  const size_t first = BeginWithWordBefore(text, out.begin);
  const size_t size = Normalize(text.substr(first, end - first), normal);
  out.begin = first;
  out.exact = size == word_size;
  out.says = Classify({normal, size}, {word, word_size});
  // SMTP_RELAY_PASS: a variable of the environment.
  if (out.says == NameSays::kNothing && SameWord({word, word_size}, "pass") &&
      IsUpper(text[begin]) && begin > 0 && text[begin - 1] == '_') {
    out.says = NameSays::kPassword;
  }
  return out;
}

}  // namespace slipstream::cache::secrets
