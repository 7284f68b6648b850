// Bodies of the libFuzzer targets over the transcoder's parsers, callable from a plain test too.
// Each aborts when an invariant breaks. Thread safety: free functions.
#ifndef SERVICES_EDGE_TRANSCODER_FUZZ_TARGETS_H_
#define SERVICES_EDGE_TRANSCODER_FUZZ_TARGETS_H_

#include <string_view>

namespace slipstream::edge {

// What the reader accepts is well-formed, parses from its wire bytes, and is written as JSON that
// reads back the same.
void FuzzJsonReader(std::string_view text);

// "path?query" against the library's routes: bound values are UTF-8 and printable as JSON.
void FuzzRoutes(std::string_view target);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_TRANSCODER_FUZZ_TARGETS_H_
