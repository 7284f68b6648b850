// Percent-decoding of paths and query strings (RFC 3986, section 2.1).
// Thread safety: free functions.
#ifndef SERVICES_EDGE_TRANSCODER_PERCENT_H_
#define SERVICES_EDGE_TRANSCODER_PERCENT_H_

#include <string>
#include <string_view>

namespace slipstream::edge {

enum class PercentDecoding {
  kAll,        // every escape
  kKeepSlash,  // "%2F" stays as "%2F": a path of several segments
  kQuery,      // every escape, and '+' is a space
};

// False for an escape that is not two hexadecimal digits, a NUL, or a result that is not UTF-8.
bool PercentDecode(std::string_view text, PercentDecoding mode, std::string* out);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_TRANSCODER_PERCENT_H_
