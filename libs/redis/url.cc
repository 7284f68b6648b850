#include "libs/redis/url.h"

#include <cctype>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "libs/redis/errors.h"
#include "libs/status/status.h"

namespace slipstream::redis {
namespace {

constexpr uint16_t kRedisPort = 6379;
constexpr uint16_t kSentinelPort = 26379;

absl::string_view Abseil(std::string_view text) { return {text.data(), text.size()}; }

absl::Status Bad(std::string_view what) {
  return status::Error(
      absl::StatusCode::kInvalidArgument, kUrlInvalid,
      absl::StrCat("the Redis URL is not usable: ", Abseil(what),
                   "; give redis://user:password@host:port/db, "
                   "redis+sentinel://h1:p1,h2:p2/master_name/db or redis+cluster://h1:p1,h2:p2 "
                   "(rediss for TLS)"));
}

std::optional<std::string> PercentDecode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    int value = 0;
    if (i + 2 >= text.size() || !std::isxdigit(static_cast<unsigned char>(text[i + 1])) ||
        !std::isxdigit(static_cast<unsigned char>(text[i + 2])) ||
        !absl::SimpleHexAtoi(Abseil(text.substr(i + 1, 2)), &value)) {
      return std::nullopt;
    }
    out.push_back(static_cast<char>(value));
    i += 2;
  }
  return out;
}

absl::Status ParseScheme(std::string_view scheme, Url* url) {
  std::string name = absl::AsciiStrToLower(Abseil(scheme));
  std::string mode;
  if (const size_t plus = name.find('+'); plus != std::string::npos) {
    mode = name.substr(plus + 1);
    name.resize(plus);
    if (mode.empty()) return Bad("its scheme ends in '+'");
  }
  if (name != "redis" && name != "rediss") return Bad("its scheme is not redis or rediss");
  url->tls = name == "rediss";
  if (mode == "sentinel") {
    url->mode = Url::Mode::kSentinel;
  } else if (mode == "cluster") {
    url->mode = Url::Mode::kCluster;
  } else if (!mode.empty()) {
    return Bad("what follows '+' in its scheme is not sentinel or cluster");
  }
  return absl::OkStatus();
}

absl::Status ParseUserInfo(std::string_view text, Url* url) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    return Bad("there is a user without a password (write user:password@, or :password@)");
  }
  auto user = PercentDecode(text.substr(0, colon));
  auto password = PercentDecode(text.substr(colon + 1));
  if (!user || !password)
    return Bad("a '%' in the user or password is not followed by two hex digits");
  if (password->empty()) return Bad("the password is empty");
  url->user = *std::move(user);
  url->password = *std::move(password);
  return absl::OkStatus();
}

absl::Status ParseHosts(std::string_view text, Url* url) {
  const uint16_t port = url->mode == Url::Mode::kSentinel ? kSentinelPort : kRedisPort;
  while (true) {
    const size_t comma = text.find(',');
    auto endpoint = ParseEndpoint(text.substr(0, comma), port);
    if (!endpoint.ok()) return endpoint.status();
    url->hosts.push_back(*std::move(endpoint));
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  if (url->hosts.size() > kMaxHosts) return Bad("it names more than 64 hosts");
  if (url->mode == Url::Mode::kSingle && url->hosts.size() > 1) {
    return Bad("it names several hosts, which needs redis+sentinel:// or redis+cluster://");
  }
  return absl::OkStatus();
}

absl::Status ParsePath(std::string_view path, Url* url) {
  if (url->mode == Url::Mode::kSentinel) {
    const size_t slash = path.find('/');
    auto name = PercentDecode(path.substr(0, slash));
    if (!name || name->empty()) return Bad("the master's name is missing (.../master_name)");
    url->master_name = *std::move(name);
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  if (path.empty()) return absl::OkStatus();
  if (!absl::SimpleAtoi(Abseil(path), &url->db) || url->db < 0 || url->db > kMaxDb) {
    return Bad("the database is not a number from 0 to 65535");
  }
  if (url->mode == Url::Mode::kCluster && url->db != 0) return Bad("a cluster has database 0 only");
  return absl::OkStatus();
}

}  // namespace

std::string Endpoint::ToString() const {
  return host.find(':') == std::string::npos ? absl::StrCat(host, ":", port)
                                             : absl::StrCat("[", host, "]:", port);
}

absl::StatusOr<Endpoint> ParseEndpoint(std::string_view text, uint16_t default_port) {
  Endpoint out;
  std::string_view port_text;
  bool has_port = false;
  if (!text.empty() && text.front() == '[') {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return Bad("a '[' of an IPv6 address is not closed");
    out.host = std::string(text.substr(1, end - 1));
    const std::string_view rest = text.substr(end + 1);
    if (!rest.empty() && rest.front() != ':') return Bad("there is text between ']' and the port");
    has_port = !rest.empty();
    if (has_port) port_text = rest.substr(1);
  } else {
    const size_t colon = text.rfind(':');
    out.host = std::string(text.substr(0, colon));
    has_port = colon != std::string_view::npos;
    if (has_port) port_text = text.substr(colon + 1);
    if (out.host.find(':') != std::string::npos) {
      return Bad("a host has two colons (an IPv6 address is written in [])");
    }
  }
  if (out.host.empty()) return Bad("a host is empty");
  for (const char c : out.host) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '-' && c != '_' &&
        c != ':') {
      return Bad("a host has a character that no host has");
    }
  }
  int port = default_port;
  if (has_port && !absl::SimpleAtoi(Abseil(port_text), &port)) return Bad("a port is not a number");
  if (port < 1 || port > 65535) return Bad("a port is not from 1 to 65535");
  out.port = static_cast<uint16_t>(port);
  return out;
}

absl::StatusOr<Url> ParseUrl(std::string_view text) {
  Url url;
  const size_t scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) return Bad("it has no scheme");
  if (absl::Status s = ParseScheme(text.substr(0, scheme_end), &url); !s.ok()) return s;
  std::string_view rest = text.substr(scheme_end + 3);
  if (rest.find_first_of("?#") != std::string_view::npos) {
    return Bad(
        "it has a '?' or '#' (percent-encode them in a password; options are settings of "
        "their own)");
  }
  // A password with a bare '/' or '@' would move the host; the last '@' before the path counts.
  const size_t slash = rest.find('/');
  std::string_view authority = rest.substr(0, slash);
  const std::string_view path =
      slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  if (path.find('@') != std::string_view::npos) {
    return Bad("there is an '@' after the first '/' (percent-encode '/' in a password as %2F)");
  }
  if (const size_t at = authority.rfind('@'); at != std::string_view::npos) {
    if (absl::Status s = ParseUserInfo(authority.substr(0, at), &url); !s.ok()) return s;
    authority.remove_prefix(at + 1);
  }
  if (absl::Status s = ParseHosts(authority, &url); !s.ok()) return s;
  if (absl::Status s = ParsePath(path, &url); !s.ok()) return s;
  return url;
}

}  // namespace slipstream::redis
