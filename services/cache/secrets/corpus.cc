#include "services/cache/secrets/corpus.h"

#include <random>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace slipstream::cache::secrets {

std::string Drawn(std::string_view alphabet, size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string out;
  const auto has = [&out](std::string_view any) { return out.find_first_of(any) != out.npos; };
  do {
    out.clear();
    for (size_t i = 0; i < size; ++i) out += alphabet[random() % alphabet.size()];
  } while (size >= 4 && alphabet.find('0') != alphabet.npos &&
           alphabet.find('a') != alphabet.npos &&
           (!has("0123456789") || !has("abcdefghijklmnopqrstuvwxyz")));
  return out;
}

std::string Base64(std::string_view bytes, bool url, bool padded) {
  const absl::string_view in(bytes.data(), bytes.size());
  std::string out = absl::Base64Escape(in);
  if (url) {
    for (char& c : out) c = c == '+' ? '-' : c == '/' ? '_' : c;
  }
  while (!padded && !out.empty() && out.back() == '=') out.pop_back();
  return out;
}

std::string PercentEncoded(std::string_view bytes, bool all) {
  std::string out;
  for (const char c : bytes) {
    const bool plain = !all && (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_');
    if (plain)
      out += c;
    else
      absl::StrAppend(&out, "%", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
  }
  return out;
}

std::string JsonEscaped(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out;
}

std::string Jwt(std::string_view subject, std::string_view algorithm) {
  return absl::StrCat(
      Base64(absl::StrCat(R"({"alg":")", std::string(algorithm), R"(","typ":"JWT"})"), true, false),
      ".",
      Base64(absl::StrCat(R"({"sub":")", std::string(subject), R"(","exp":1767225600})"), true,
             false),
      ".", Drawn(kAlnumAlphabet, 43, 7));
}

std::string Pem(std::string_view label, unsigned seed, std::string_view line_end) {
  std::string out =
      absl::StrCat("-----", "BEGIN ", std::string(label), "-----", std::string(line_end));
  for (unsigned i = 0; i < 4; ++i) {
    absl::StrAppend(&out, Drawn(kAlnumAlphabet, 64, seed * 10 + i), std::string(line_end));
  }
  return absl::StrCat(out, "-----", "END ", std::string(label), "-----", std::string(line_end));
}

}  // namespace slipstream::cache::secrets
