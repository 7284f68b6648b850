// Text that hides in other text: base64 in both alphabets, percent-encoding, escapes of JSON and
// HTML.
//
// Thread safety: pure functions.
#ifndef SERVICES_CACHE_SECRETS_DECODERS_H_
#define SERVICES_CACHE_SECRETS_DECODERS_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace slipstream::cache::secrets {

// Shorter base64 holds no secret that could be told from a word.
inline constexpr size_t kMinBase64Bytes = 16;

// A stretch of base64, lines included when it is wrapped at their ends (MIME, PEM).
struct Base64Run {
  size_t begin = 0, end = 0;  // begin == text.size(): there is none
};
// The first run that ends after `from`. Looks at about every 16th byte.
Base64Run NextBase64Run(std::string_view text, size_t from);

// Which of the four alignments may be a piece's own, a bit each: a piece begins with the run or
// after a byte that is in the alphabet and also stands between words (/ + - _).
// REQUIRES: no line ends in `run`.
unsigned Base64Alignments(std::string_view run);
// REQUIRES: `digits` are of the alphabets alone.
std::string DecodeBase64(std::string_view digits);

// `run` without the line ends in it: itself, or a copy in `scratch`.
std::string_view WithoutLineEnds(std::string_view run, std::string* scratch);

// The next stretch of `run` from its byte `from` on, in steps of four, that may mean text: it is
// decoded into `out` with a few bytes around it. Answers where to go on; run.size(): there is none.
// Looks at four bytes at once and decodes only what may be text, so that images cost little.
size_t NextTextInBase64(std::string_view run, size_t from, std::string* out);

// Whether Unescape would change more than the plain backslashes that the checks know anyway.
bool HasEscapes(std::string_view text);
// %41, \u0041, \x41, &#65;, &quot;, and with them + as a space and \" \\ \/ \n.
void Unescape(std::string_view text, std::string* out);

}  // namespace slipstream::cache::secrets

#endif  // SERVICES_CACHE_SECRETS_DECODERS_H_
