// Escapes text for a JSON string. Pure functions, safe from any thread, never fail.
//
// Bytes that are not well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above
// U+10FFFF) become U+FFFD, one for each maximal ill-formed part, so that the output is always a
// document a strict parser accepts, whatever came in.
#ifndef SLIPSTREAM_LIBS_LOGGING_JSON_ESCAPE_H_
#define SLIPSTREAM_LIBS_LOGGING_JSON_ESCAPE_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace slipstream::logging {

// Appends the escaped `text`, without quotes. Stops, between two characters, before the appended
// part would grow past `max_bytes`; returns false when it had to.
bool AppendJsonEscaped(std::string_view text, std::string* out,
                       std::size_t max_bytes = static_cast<std::size_t>(-1));

// `text` as a JSON string with its quotes.
std::string JsonQuote(std::string_view text);

}  // namespace slipstream::logging

#endif  // SLIPSTREAM_LIBS_LOGGING_JSON_ESCAPE_H_
