// Where Redis is: the address URL of Options, taken apart.
//
// Thread safety: plain values and a pure function. Errors: INVALID_ARGUMENT REDIS_URL_INVALID,
// which says what is wrong without quoting the URL (it may hold a password).
#ifndef LIBS_REDIS_URL_H_
#define LIBS_REDIS_URL_H_

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace slipstream::redis {

struct Endpoint {
  std::string host;  // a name or an IP address, IPv6 without brackets
  uint16_t port = 0;

  std::string ToString() const;  // host:port, [v6]:port
  auto operator<=>(const Endpoint&) const = default;
};

struct Url {
  enum class Mode { kSingle, kSentinel, kCluster };

  Mode mode = Mode::kSingle;
  bool tls = false;
  std::string user;  // empty: Redis's default user
  std::string password;
  std::vector<Endpoint> hosts;  // one for kSingle; Sentinels; a cluster's seeds. 1 to kMaxHosts
  std::string master_name;      // kSentinel
  int db = 0;                   // 0 for kCluster
};

inline constexpr size_t kMaxHosts = 64;
inline constexpr int kMaxDb = 65535;

absl::StatusOr<Url> ParseUrl(std::string_view text);

// "host:port" or "[v6]:port"; `default_port` when there is none, 0 when one is needed.
absl::StatusOr<Endpoint> ParseEndpoint(std::string_view text, uint16_t default_port);

}  // namespace slipstream::redis

#endif  // LIBS_REDIS_URL_H_
