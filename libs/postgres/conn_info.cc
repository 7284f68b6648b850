#include "libs/postgres/conn_info.h"

#include <libpq-fe.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/postgres/connection.h"
#include "libs/status/status.h"

namespace slipstream::postgres {

namespace {

constexpr size_t kMaxHostsCount = 16;

absl::Status UrlInvalid() {
  return status::Error(absl::StatusCode::kInvalidArgument, kUrlInvalid,
                       "the PostgreSQL URL cannot be read; it looks like "
                       "postgresql://user:password@host:5432/database, with special characters in "
                       "the password written as %XX");
}

std::string Taken(Settings* settings, const std::string& key) {
  const auto it = settings->find(key);
  if (it == settings->end()) return "";
  std::string out = std::move(it->second);
  settings->erase(it);
  return out;
}

std::vector<std::string> List(const std::string& text) {
  if (text.empty()) return {};
  return absl::StrSplit(text, ',');
}

// The entry for host `index`; a single one is for all.
std::string At(const std::vector<std::string>& list, size_t index) {
  if (list.empty()) return "";
  return list.size() == 1 ? list[0] : index < list.size() ? list[index] : "";
}

absl::StatusOr<WantedServer> ParseWanted(const std::string& text, size_t hosts_count) {
  if (text.empty()) return hosts_count > 1 ? WantedServer::kReadWrite : WantedServer::kAny;
  if (text == "any" || text == "prefer-standby") return WantedServer::kAny;
  if (text == "primary") return WantedServer::kPrimary;
  if (text == "read-write") return WantedServer::kReadWrite;
  if (text == "standby") return WantedServer::kStandby;
  if (text == "read-only") return WantedServer::kReadOnly;
  return UrlInvalid();
}

}  // namespace

absl::StatusOr<Settings> ParseUrl(const std::string& url) {
  char* error = nullptr;
  PQconninfoOption* parsed = PQconninfoParse(url.c_str(), &error);
  if (parsed == nullptr) {
    PQfreemem(error);  // not shown: it quotes the URL
    return UrlInvalid();
  }
  Settings settings;
  for (auto* option = parsed; option->keyword != nullptr; ++option) {
    if (option->val != nullptr) settings[option->keyword] = option->val;
  }
  PQconninfoFree(parsed);
  // A bare @ or : in a password shifts a part of it into the host or the port, which libpq's errors
  // quote.
  if (absl::StrContains(settings["host"], "@") ||
      settings["port"].find_first_not_of("0123456789,") != std::string::npos) {
    return UrlInvalid();
  }
  if (settings["host"].empty()) settings.erase("host");
  if (settings["port"].empty()) settings.erase("port");
  return settings;
}

absl::StatusOr<ConnInfo> ParseConnInfo(const std::string& url,
                                       const std::string& application_name) {
  auto settings = ParseUrl(url);
  if (!settings.ok()) return settings.status();
  ConnInfo out;
  const auto hosts = List(Taken(&*settings, "host"));
  const auto addresses = List(Taken(&*settings, "hostaddr"));
  const auto ports = List(Taken(&*settings, "port"));
  const size_t count = std::max<size_t>({hosts.size(), addresses.size(), 1});
  if (count > kMaxHostsCount || (ports.size() > 1 && ports.size() != count)) return UrlInvalid();
  for (size_t i = 0; i < count; ++i) {
    Settings host;
    if (const std::string v = At(hosts, i); !v.empty()) host["host"] = v;
    if (const std::string v = At(addresses, i); !v.empty()) host["hostaddr"] = v;
    if (const std::string v = At(ports, i); !v.empty()) host["port"] = v;
    out.hosts.push_back(std::move(host));
  }
  auto wanted = ParseWanted(Taken(&*settings, "target_session_attrs"), count);
  if (!wanted.ok()) return wanted.status();
  out.wanted = *wanted;
  settings->erase("connect_timeout");  // the pool keeps its own
  (*settings)["client_encoding"] = "UTF8";
  settings->try_emplace("application_name", application_name);
  out.shared = *std::move(settings);
  return out;
}

std::string NameOf(const Settings& host) {
  const auto value = [&](const char* key, const char* otherwise) {
    const auto it = host.find(key);
    return it == host.end() ? std::string(otherwise) : it->second;
  };
  return absl::StrCat(value("host", value("hostaddr", "localhost").c_str()), ":",
                      value("port", "5432"));
}

const char* Lacks(WantedServer wanted, bool in_recovery, bool read_only) {
  switch (wanted) {
    case WantedServer::kPrimary:
      return in_recovery ? "a primary" : nullptr;
    case WantedServer::kReadWrite:
      return read_only ? "a server that takes writes" : nullptr;
    case WantedServer::kStandby:
      return in_recovery ? nullptr : "a standby";
    case WantedServer::kReadOnly:
      return read_only ? nullptr : "a read-only server";
    case WantedServer::kAny:
      break;
  }
  return nullptr;
}

}  // namespace slipstream::postgres
