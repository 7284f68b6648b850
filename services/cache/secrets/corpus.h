// Secrets, and what only looks like one: what the guard's tests refuse and let pass.
//
// Everything is made up: drawn from a fixed seed, put together at run time (so that no scanner of
// this repository's text finds a secret), or a payment scheme's published test number.
#ifndef SERVICES_CACHE_SECRETS_CORPUS_H_
#define SERVICES_CACHE_SECRETS_CORPUS_H_

#include <string>
#include <string_view>
#include <vector>

#include "services/cache/secrets/finding.h"

namespace slipstream::cache::secrets {

struct Sample {
  std::string name;
  std::string text;
};
struct SecretSample : Sample {
  Kind kind;
};

std::vector<SecretSample> Secrets();
std::vector<Sample> LookAlikes();

// Drawn from `alphabet` by `seed`; at least one digit and one letter when the alphabet has both.
std::string Drawn(std::string_view alphabet, size_t size, unsigned seed);
inline constexpr std::string_view kAlnumAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
inline constexpr std::string_view kHexAlphabet = "0123456789abcdef";

std::string Base64(std::string_view bytes, bool url = false, bool padded = true);
std::string PercentEncoded(std::string_view bytes, bool all = false);
std::string JsonEscaped(std::string_view bytes);

// "header.payload.signature" of a token for `subject`.
std::string Jwt(std::string_view subject, std::string_view algorithm = "HS256");
// A PEM block of drawn bytes.
std::string Pem(std::string_view label, unsigned seed, std::string_view line_end = "\n");

}  // namespace slipstream::cache::secrets

#endif  // SERVICES_CACHE_SECRETS_CORPUS_H_
