// JSON of tokens and key files, read so that two readers cannot disagree about it: one object at
// the top, no duplicate member names, bounded depth, well-formed UTF-8, nothing after the end.
//
// Thread safety: a pure function. Never throws.
#ifndef SLIPSTREAM_LIBS_AUTH_STRICT_JSON_H_
#define SLIPSTREAM_LIBS_AUTH_STRICT_JSON_H_

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

namespace slipstream::auth {

inline constexpr int kMaxJsonDepth = 8;

// The object, or nothing when `text` is anything else.
std::optional<nlohmann::json> ParseStrictJsonObject(std::string_view text);

// The member's string; nothing when it is absent or not a string.
std::optional<std::string> StringMember(const nlohmann::json& object, const char* name);

}  // namespace slipstream::auth

#endif  // SLIPSTREAM_LIBS_AUTH_STRICT_JSON_H_
