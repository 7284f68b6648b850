#include "services/cache/secrets/tokens.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "services/cache/secrets/decoders.h"
#include "services/cache/secrets/text.h"

namespace slipstream::cache::secrets {

namespace {

enum Alphabet : uint8_t {
  kAlnum,       // letters and digits
  kUrl,         // and - _
  kUrlAndDots,  // and .
  kBase64,      // and + / =
  kUpperAlnum,
  kHex,
  kSlashed,  // a path of tokens
};

bool Allows(Alphabet alphabet, char c) {
  switch (alphabet) {
    case kAlnum:
      return IsAlnum(c);
    case kUrl:
      return IsBase64Url(c);
    case kUrlAndDots:
      return IsBase64Url(c) || c == '.';
    case kBase64:
      return IsBase64(c) || c == '=';
    case kUpperAlnum:
      return IsUpper(c) || IsDigit(c);
    case kHex:
      return IsDigit(c) || (c >= 'a' && c <= 'f');
    case kSlashed:
      return IsBase64Url(c) || c == '/';
  }
  return false;
}

// What follows the prefix: at least `min` bytes of the alphabet, at most `max` where the issuer
// draws an exact number. All are drawn at random: a digit is among them, and many different bytes.
struct Shape {
  std::string_view prefix;
  Alphabet alphabet;
  uint16_t min;
  uint16_t max = kMaxLookBytes;
};

constexpr std::array kShapes = {
    Shape{"ghp_", kAlnum, 30},
    Shape{"gho_", kAlnum, 30},
    Shape{"ghu_", kAlnum, 30},
    Shape{"ghs_", kAlnum, 30},
    Shape{"ghr_", kAlnum, 30},
    Shape{"github_pat_", kUrl, 22},
    Shape{"glpat-", kUrlAndDots, 20},
    Shape{"gldt-", kUrl, 20},
    Shape{"glrt-", kUrlAndDots, 20},
    Shape{"glcbt-", kUrl, 20},
    Shape{"glptt-", kUrl, 20},
    Shape{"glft-", kUrl, 20},
    Shape{"gloas-", kUrl, 20},
    Shape{"glsoat-", kUrl, 20},
    Shape{"glimt-", kUrl, 20},
    Shape{"glagent-", kUrl, 20},
    Shape{"xoxb-", kUrl, 16},
    Shape{"xoxp-", kUrl, 16},
    Shape{"xoxa-", kUrl, 16},
    Shape{"xoxr-", kUrl, 16},
    Shape{"xoxs-", kUrl, 16},
    Shape{"xoxo-", kUrl, 16},
    Shape{"xoxc-", kUrl, 16},
    Shape{"xoxd-", kBase64, 16},
    Shape{"xoxe-", kUrl, 16},
    Shape{"xoxe.xoxp-", kUrl, 16},
    Shape{"xapp-", kUrl, 16},
    Shape{"hooks.slack.com/services/", kSlashed, 20},
    Shape{"discord.com/api/webhooks/", kSlashed, 40},
    Shape{"sk-", kUrl, 20},
    Shape{"sk_live_", kAlnum, 10},
    Shape{"sk_test_", kAlnum, 10},
    Shape{"rk_live_", kAlnum, 10},
    Shape{"rk_test_", kAlnum, 10},
    Shape{"whsec_", kBase64, 16},
    Shape{"AKIA", kUpperAlnum, 16, 16},
    Shape{"ASIA", kUpperAlnum, 16, 16},
    Shape{"AIza", kUrl, 35, 35},
    Shape{"ya29.", kUrlAndDots, 20},
    Shape{"GOCSPX-", kUrl, 20},
    Shape{"1//0", kUrl, 30},
    Shape{"npm_", kAlnum, 30},
    Shape{"pypi-", kUrl, 50},
    Shape{"SG.", kUrlAndDots, 40},
    Shape{"hf_", kAlnum, 30},
    Shape{"dop_v1_", kHex, 60},
    Shape{"doo_v1_", kHex, 60},
    Shape{"dor_v1_", kHex, 60},
    Shape{"shpat_", kAlnum, 30},
    Shape{"shpca_", kAlnum, 30},
    Shape{"shppa_", kAlnum, 30},
    Shape{"shpss_", kAlnum, 30},
    Shape{"sq0atp-", kUrl, 20},
    Shape{"sq0csp-", kUrl, 40},
    Shape{"dapi", kHex, 32},
    Shape{"lin_api_", kAlnum, 30},
    Shape{"PMAK-", kUrl, 40},
    Shape{"glsa_", kUrl, 30},
    Shape{"glc_", kBase64, 30},
    Shape{"hvs.", kUrl, 24},
    Shape{"hvb.", kUrl, 24},
    Shape{"hvr.", kUrl, 24},
    Shape{"xkeysib-", kUrl, 60},
    Shape{"gsk_", kAlnum, 40},
    Shape{"r8_", kAlnum, 30},
    Shape{"pplx-", kAlnum, 40},
    Shape{"xai-", kAlnum, 60},
    Shape{"sbp_", kHex, 40},
    Shape{"dckr_pat_", kUrl, 20},
    Shape{"tskey-", kUrl, 20},
    Shape{"rubygems_", kHex, 40},
    Shape{"NRAK-", kUpperAlnum, 25},
    Shape{"figd_", kUrl, 30},
    Shape{"secret_", kAlnum, 40},
    Shape{"ntn_", kAlnum, 40},
    Shape{"pat-na1-", kUrl, 32},
    Shape{"pat-eu1-", kUrl, 32},
    Shape{"ATATT3", kUrl, 40},
    Shape{"ATBB", kAlnum, 28},
    Shape{"AGE-SECRET-KEY-1", kUpperAlnum, 50},
    Shape{"amzn.mws.", kUrl, 30},
    Shape{"EAACEdEose0cBA", kAlnum, 10},
    Shape{"key-", kHex, 32, 32},
    Shape{"tfp_", kUrl, 40},
    Shape{"pscale_tkn_", kUrlAndDots, 30},
    Shape{"pscale_pw_", kUrlAndDots, 30},
    Shape{"sntrys_", kBase64, 40},
    Shape{"sntryu_", kHex, 60},
    Shape{"dt0c01.", kUrlAndDots, 60},
    Shape{"CCIPAT_", kUrl, 30},
    Shape{"patG", kUrlAndDots, 70},
    Shape{"bkua_", kHex, 36},
    Shape{"ops_eyJ", kBase64, 60},
    Shape{"nvapi-", kUrl, 40},
    Shape{"fio-u-", kUrl, 40},
};

bool HasShape(const Shape& shape, std::string_view rest) {
  if (rest.size() < shape.min || rest.size() > shape.max) return false;
  const Makeup makeup = MakeupOf(rest);
  if (makeup.distinct < 6) return false;
  // The example keys of AWS have no digit there.
  if (makeup.digits == 0 && shape.alphabet != kUpperAlnum && makeup.distinct < 12) return false;
  // Words joined by dashes, "sk-button-primary-large", are no key; nor is a locale or a file name.
  if (makeup.longest_alnum < 8) return false;
  if (shape.prefix == "sk-" && (makeup.digits == 0 || makeup.longest_alnum < 12)) return false;
  return shape.prefix != "SG." || rest.find('.') != rest.npos;
}

std::optional<Kind> CheckShape(const Place& place, Progress& progress) {
  const uint16_t row = place.literal.row;
  const Shape& shape = kShapes[row];
  if (!BeginsWord(place.text, place.begin)) return std::nullopt;
  if (row == progress.rejected_row && place.end < progress.rejected_end) return std::nullopt;
  const size_t end = EndOf(place.text, place.end, kMaxLookBytes,
                           [&](char c) { return Allows(shape.alphabet, c); });
  std::string_view rest = place.text.substr(place.end, end - place.end);
  while (!rest.empty() && !IsAlnum(rest.back())) rest.remove_suffix(1);
  const bool whole = shape.max == kMaxLookBytes || !IsAlnum(ByteAt(place.text, end));
  if (whole && HasShape(shape, rest)) return Kind::kApiToken;
  // What is too short or too simple has no part that is not.
  if (shape.max == kMaxLookBytes) {
    progress.rejected_row = row;
    progress.rejected_end = end;
  }
  return std::nullopt;
}

// Three parts (JWS) or five (JWE, RFC 7516) of base64url joined by dots; the first is a JSON object
// that names an algorithm.
std::optional<Kind> CheckJwt(const Place& place, Progress&) {
  constexpr size_t kMinPartBytes = 10;
  const std::string_view text = place.text;
  if (!BeginsWord(text, place.begin)) return std::nullopt;
  const size_t header_end = EndOf(text, place.begin, 4096, IsBase64Url);
  if (header_end - place.begin < kMinPartBytes || ByteAt(text, header_end) != '.') {
    return std::nullopt;
  }
  const size_t body_end = EndOf(text, header_end + 1, text.size(), IsBase64Url);
  if (ByteAt(text, body_end) != '.') return std::nullopt;
  const size_t size = std::min<size_t>(header_end - place.begin, 512);
  const std::string header = DecodeBase64(text.substr(place.begin, size));
  if (header.find("\"alg\"") == header.npos && header.find("\"enc\"") == header.npos) {
    return std::nullopt;
  }
  if (header.find("\"enc\"") != header.npos) return Kind::kBearerToken;
  if (body_end - header_end - 1 < kMinPartBytes) return std::nullopt;
  return Kind::kBearerToken;
}

// A bot's token of Telegram: "123456789:AA" and 33 more.
std::optional<Kind> CheckTelegram(const Place& place, Progress&) {
  const std::string_view text = place.text;
  size_t begin = place.begin;
  while (begin > 0 && place.begin - begin < 12 && IsDigit(text[begin - 1])) --begin;
  const size_t end = EndOf(text, place.end, 64, IsBase64Url);
  if (place.begin - begin < 8 || end - place.end < 32 || end - place.end > 34) return std::nullopt;
  return Kind::kApiToken;
}

}  // namespace

Literals TokenLiterals() {
  static const auto& literals = *new std::vector<Literal>([] {
    std::vector<Literal> out;
    for (size_t i = 0; i < kShapes.size(); ++i) {
      out.push_back({kShapes[i].prefix, true, CheckShape, static_cast<uint16_t>(i)});
    }
    out.push_back({"eyJ", true, CheckJwt});
    out.push_back({":AA", true, CheckTelegram});
    return out;
  }());
  return literals;
}

}  // namespace slipstream::cache::secrets
