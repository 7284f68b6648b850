#include "services/cache/secrets/keys.h"

#include <algorithm>
#include <array>

#include "services/cache/secrets/text.h"

namespace slipstream::cache::secrets {

namespace {

// "-----BEGIN RSA PRIVATE KEY-----", and key material within the next bytes; headers (Proc-Type,
// Version) may stand between, and line ends may be escaped.
std::optional<Kind> CheckPem(const Place& place, Progress&) {
  constexpr size_t kMaxLabelBytes = 64;
  constexpr size_t kMaxHeaderBytes = 256;
  constexpr size_t kMinMaterialBytes = 24;
  const std::string_view text = place.text;
  const std::string_view label = text.substr(place.end, kMaxLabelBytes);
  const size_t dashes = label.find("----");
  if (dashes == label.npos) return std::nullopt;
  if (label.substr(0, dashes).find("PRIVATE KEY") == label.npos) return std::nullopt;
  size_t at = place.end + dashes + 4;
  const size_t limit = std::min(text.size(), at + kMaxHeaderBytes);
  while (at < limit) {
    const size_t end = EndOf(text, at, kMaxLookBytes,
                             [](char c) { return IsAlnum(c) || c == '+' || c == '/' || c == '='; });
    if (end - at >= kMinMaterialBytes && MakeupOf(text.substr(at, end - at)).distinct >= 8) {
      return Kind::kPrivateKey;
    }
    at = std::max(end, at + 1);
  }
  return std::nullopt;
}

std::optional<Kind> CheckPutty(const Place& place, Progress&) {
  const std::string_view near = place.text.substr(place.end, 4096);
  const size_t at = near.find("Private-Lines:");
  if (at == near.npos) return std::nullopt;
  return Kind::kPrivateKey;
}

// The string under a member's name within a JSON object, quotes escaped or not; empty: none.
std::string_view MemberOf(std::string_view object, std::string_view name) {
  for (size_t at = object.find(name); at != object.npos; at = object.find(name, at + 1)) {
    if (at == 0 || !IsQuote(object[at - 1])) continue;
    size_t i = at + name.size();
    const auto skip = [&](auto is) { i = EndOf(object, i, 16, is); };
    skip([](char c) { return c == '\\' || IsQuote(c); });
    if (i == at + name.size()) continue;
    skip([](char c) { return IsBlank(c) || IsEol(c); });
    if (ByteAt(object, i) != ':') continue;
    ++i;
    skip([](char c) { return IsBlank(c) || IsEol(c) || c == '\\' || IsQuote(c); });
    return object.substr(i, EndOf(object, i, object.size(), IsBase64Url) - i);
  }
  return {};
}

// The object around "kty" has the private exponent or scalar "d", or a symmetric key "k".
std::optional<Kind> CheckJwk(const Place& place, Progress& progress) {
  constexpr size_t kMaxObjectBytes = 8192;
  constexpr size_t kMinKeyBytes = 20;
  const std::string_view text = place.text;
  if (place.begin == 0 || !IsQuote(text[place.begin - 1]) || place.begin < progress.jwks_end) {
    return std::nullopt;
  }
  size_t begin = place.begin;
  const size_t first =
      std::max(progress.jwks_end, begin > kMaxObjectBytes ? begin - kMaxObjectBytes : 0);
  while (begin > first && text[begin - 1] != '{') --begin;
  const size_t end = EndOf(text, place.end, kMaxObjectBytes, [](char c) { return c != '}'; });
  progress.jwks_end = end;
  const std::string_view object = text.substr(begin, end - begin);
  const std::string_view d = MemberOf(object, "d");
  if (d.size() >= kMinKeyBytes && MakeupOf(d).distinct >= 8) return Kind::kPrivateKey;
  if (MemberOf(object, "kty") != "oct") return std::nullopt;
  const std::string_view k = MemberOf(object, "k");
  if (k.size() >= kMinKeyBytes && MakeupOf(k).distinct >= 8) return Kind::kPrivateKey;
  return std::nullopt;
}

}  // namespace

Literals KeyLiterals() {
  static constexpr std::array kLiterals = {
      Literal{"-----BEGIN ", true, CheckPem},
      Literal{"---- BEGIN SSH2 ", true, CheckPem},
      Literal{"PuTTY-User-Key-File-", true, CheckPutty},
      Literal{"kty", true, CheckJwk},
  };
  return kLiterals;
}

}  // namespace slipstream::cache::secrets
