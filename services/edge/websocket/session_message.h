// What a client's JSON messages hold, and how times are written to it.
//
// Thread safety: pure functions.
#ifndef SERVICES_EDGE_WEBSOCKET_SESSION_MESSAGE_H_
#define SERVICES_EDGE_WEBSOCKET_SESSION_MESSAGE_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "nlohmann/json.hpp"

namespace slipstream::edge {

// The text member `name` of a message, or empty.
inline std::string Member(const nlohmann::json& message, const char* name) {
  auto it = message.find(name);
  return it != message.end() && it->is_string() ? it->get<std::string>() : std::string();
}

// The list of texts `name` of a message; nullopt: it is something else.
inline std::optional<std::vector<std::string>> Texts(const nlohmann::json& message,
                                                     const char* name) {
  std::vector<std::string> out;
  auto it = message.find(name);
  if (it == message.end()) return out;
  if (!it->is_array()) return std::nullopt;
  for (const auto& one : *it) {
    if (!one.is_string()) return std::nullopt;
    out.push_back(one.get<std::string>());
  }
  return out;
}

inline std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_WEBSOCKET_SESSION_MESSAGE_H_
