#include "libs/redis/server_check.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "libs/redis/errors.h"
#include "libs/status/status.h"

namespace slipstream::redis {
namespace {

using Version = std::array<int, 3>;
constexpr Version kMinVersion = {6, 0, 0};
constexpr Version kShardedPubSubVersion = {7, 0, 0};

Version ParseVersion(const std::string& text) {
  Version out{};
  const std::vector<std::string> parts = absl::StrSplit(text, '.');
  for (size_t i = 0; i < out.size() && i < parts.size(); ++i) {
    if (!absl::SimpleAtoi(parts[i], &out[i])) break;
  }
  return out;
}

// "name:value" lines.
std::map<std::string, std::string> ParseInfo(const std::string& text) {
  std::map<std::string, std::string> out;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    const size_t colon = line.find(':');
    if (colon == absl::string_view::npos || line.front() == '#') continue;
    out.emplace(line.substr(0, colon), line.substr(colon + 1));
  }
  return out;
}

using Replies = std::map<std::string, absl::StatusOr<Value>>;  // by address

Async<Replies> AskEach(Client& client, std::vector<std::string> args) {
  Replies out;
  for (NodeReply& node : co_await client.ForEachPrimary(std::move(args))) {
    out.emplace(std::move(node.address), std::move(node.reply));
  }
  co_return out;
}

// What CONFIG GET said, name to value; false when the ACL forbids it or the node has changed.
bool MergeConfig(const Replies& replies, const std::string& address,
                 std::map<std::string, std::string>* config) {
  const auto it = replies.find(address);
  if (it == replies.end() || !it->second.ok()) return false;
  const Value& reply = *it->second;
  for (size_t i = 0; i + 1 < reply.size(); i += 2) (*config)[reply[i].text] = reply[i + 1].text;
  return true;
}

NodeReport FromInfo(const std::string& address, std::map<std::string, std::string> info) {
  NodeReport node;
  node.address = address;
  node.version = info["redis_version"];
  node.role = info["role"];
  node.maxmemory_policy = info["maxmemory_policy"];
  if (!absl::SimpleAtoi(info["maxmemory"], &node.maxmemory_bytes)) node.maxmemory_bytes = 0;
  node.aof_enabled = info["aof_enabled"] == "1";
  node.cluster_enabled = info["cluster_enabled"] == "1";
  return node;
}

void AddConfig(const std::map<std::string, std::string>& config, NodeReport* node) {
  const auto get = [&](const char* name, const std::string& otherwise) {
    const auto it = config.find(name);
    return it == config.end() ? otherwise : it->second;
  };
  node->maxmemory_policy = get("maxmemory-policy", node->maxmemory_policy);
  node->appendfsync = get("appendfsync", "");
  node->rdb_enabled = !get("save", "").empty();
}

absl::Status CheckNode(const NodeReport& node) {
  if (ParseVersion(node.version) < kMinVersion) {
    return status::Error(absl::StatusCode::kFailedPrecondition, kTooOld,
                         absl::StrCat("Redis ", node.version, " at ", node.address,
                                      " is too old: 6.0 or later is needed; upgrade the server or "
                                      "configure another one"));
  }
  if (node.role != "master") {
    return status::Error(absl::StatusCode::kFailedPrecondition, kNotPrimary,
                         absl::StrCat("the Redis at ", node.address, " is a ", node.role,
                                      ", which takes no writes: give the primary's address, or a "
                                      "redis+sentinel:// URL"));
  }
  return absl::OkStatus();
}

void AddWarnings(const NodeReport& node, ServerReport* report) {
  if (node.config_forbidden) {
    report->warnings.push_back(
        absl::StrCat("the ACL forbids CONFIG GET at ", node.address,
                     ": maxmemory-policy and AOF were read from INFO; save points and "
                     "appendfsync are not known (allow it with ACL SETUSER ... +config|get)"));
  }
  if (!node.aof_enabled && !node.rdb_enabled) {
    report->warnings.push_back(absl::StrCat(
        "the Redis at ", node.address,
        " keeps nothing on disk: its data is lost when it restarts; set `appendonly yes`"));
  } else if (node.aof_enabled && node.appendfsync == "no") {
    report->warnings.push_back(absl::StrCat(
        "the Redis at ", node.address,
        " has appendfsync no: a crash of the machine loses what the kernel has not written; set "
        "`appendfsync everysec`"));
  } else if (!node.aof_enabled) {
    report->warnings.push_back(
        absl::StrCat("the Redis at ", node.address,
                     " keeps RDB snapshots only: a crash loses all writes since the last one; set "
                     "`appendonly yes`"));
  }
}

}  // namespace

Async<absl::StatusOr<ServerReport>> CheckServer(Client& client) {
  const Replies infos = co_await AskEach(client, {"INFO"});
  const Replies memory = co_await AskEach(client, {"CONFIG", "GET", "maxmemory*"});
  const Replies append = co_await AskEach(client, {"CONFIG", "GET", "append*"});
  const Replies save = co_await AskEach(client, {"CONFIG", "GET", "save"});
  ServerReport report;
  report.persistent = true;
  for (const auto& [address, reply] : infos) {
    if (!reply.ok()) co_return reply.status();
    NodeReport node = FromInfo(address, ParseInfo(reply->text));
    std::map<std::string, std::string> config;
    for (const Replies* replies : {&memory, &append, &save}) {
      if (!MergeConfig(*replies, address, &config)) node.config_forbidden = true;
    }
    AddConfig(config, &node);
    if (absl::Status status = CheckNode(node); !status.ok()) co_return status;
    AddWarnings(node, &report);
    if (report.oldest_version.empty() ||
        ParseVersion(node.version) < ParseVersion(report.oldest_version)) {
      report.oldest_version = node.version;
    }
    report.persistent = report.persistent && (node.aof_enabled || node.rdb_enabled);
    report.nodes.push_back(std::move(node));
  }
  report.sharded_pubsub = ParseVersion(report.oldest_version) >= kShardedPubSubVersion;
  co_return report;
}

absl::Status RequireNoEviction(const ServerReport& report) {
  std::vector<std::string> evicting;
  for (const NodeReport& node : report.nodes) {
    if (node.maxmemory_policy == "noeviction") continue;
    evicting.push_back(absl::StrCat(
        node.address, " (",
        node.maxmemory_policy.empty() ? "it does not say" : node.maxmemory_policy, ")"));
  }
  if (evicting.empty()) return absl::OkStatus();
  return status::Error(
      absl::StatusCode::kFailedPrecondition, kEvicts,
      absl::StrCat("Redis may throw data away when its memory is full: maxmemory-policy is not "
                   "noeviction at ",
                   absl::StrJoin(evicting, ", "),
                   "; run `CONFIG SET maxmemory-policy noeviction` there and write "
                   "`maxmemory-policy noeviction` into its redis.conf"));
}

}  // namespace slipstream::redis
