// A PostgreSQL URL taken apart: the settings that all of its hosts share, and the hosts.
//
// Thread safety: plain values and free functions. Errors: INVALID_ARGUMENT POSTGRES_URL_INVALID,
// whose message never quotes the URL, since that carries a password.
#ifndef LIBS_POSTGRES_CONN_INFO_H_
#define LIBS_POSTGRES_CONN_INFO_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace slipstream::postgres {

// libpq's names and values: host, port, user, ...
using Settings = std::map<std::string, std::string>;

// Everything that the URL says; opens nothing.
absl::StatusOr<Settings> ParseUrl(const std::string& url);

// Which server of several qualifies; libpq's target_session_attrs.
enum class WantedServer { kAny, kPrimary, kReadWrite, kStandby, kReadOnly };

// Null: such a server qualifies. Else what is looked for, for people: "a primary". REQUIRES: one in
// recovery is read-only.
const char* Lacks(WantedServer wanted, bool in_recovery, bool read_only);

struct ConnInfo {
  // Without hosts and target_session_attrs; with client_encoding and application_name.
  Settings shared;
  // host, hostaddr and port of each, in the URL's order; at least one.
  std::vector<Settings> hosts;
  WantedServer wanted = WantedServer::kAny;
};

// `application_name` counts where the URL names none. Several hosts and no target_session_attrs
// mean that the one that takes writes is looked for.
absl::StatusOr<ConnInfo> ParseConnInfo(const std::string& url, const std::string& application_name);

// "host:port", for people.
std::string NameOf(const Settings& host);

}  // namespace slipstream::postgres

#endif  // LIBS_POSTGRES_CONN_INFO_H_
