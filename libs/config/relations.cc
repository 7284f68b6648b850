#include "libs/config/relations.h"

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace slipstream::config {
namespace {

constexpr int kHeartbeatsPerLease = 3;
constexpr std::string_view kAlgorithms[] = {"HS256", "RS256", "ES256", "EdDSA"};

absl::Status AtLeast(std::string_view name, std::int64_t value, std::string_view of,
                     std::int64_t least) {
  if (value >= least) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(std::string(name), " is ", value,
                                                 "; allowed: at least ", least, ", which is ",
                                                 std::string(of)));
}

absl::Status CheckAlgorithms(const v1::AuthConfig& auth) {
  for (const std::string& name : auth.allowed_algorithms()) {
    bool known = false;
    for (std::string_view algorithm : kAlgorithms) known = known || name == algorithm;
    if (known) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "auth.allowed_algorithms has \"", name, "\"; allowed: some of HS256, RS256, ES256, EdDSA"));
  }
  return absl::OkStatus();
}

absl::Status CheckOrigins(const v1::EdgeConfig& edge) {
  for (const std::string& origin : edge.cors_allowed_origins()) {
    const bool http = origin.starts_with("http://") || origin.starts_with("https://");
    const std::size_t host = origin.find("://") + 3;
    if (http && origin.size() > host && origin.find_first_of("/*? ", host) == std::string::npos) {
      continue;
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "edge.cors_allowed_origins has \"", origin,
        "\"; allowed: whole origins such as https://app.example.com, without path or *"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckRelations(const v1::Config& config) {
  const v1::TaskQueueConfig& queue = config.task_queue();
  const v1::WebSocketConfig& websocket = config.edge().websocket();
  for (const absl::Status& status : {
           AtLeast("task_queue.lease_ms", queue.lease_ms(),
                   "three times task_queue.heartbeat_interval_ms",
                   kHeartbeatsPerLease * queue.heartbeat_interval_ms()),
           AtLeast("task_queue.retry_backoff_max_ms", queue.retry_backoff_max_ms(),
                   "task_queue.retry_backoff_base_ms", queue.retry_backoff_base_ms()),
           AtLeast("task_queue.artifact.max_user_bytes", queue.artifact().max_user_bytes(),
                   "task_queue.artifact.max_artifact_bytes", queue.artifact().max_artifact_bytes()),
           AtLeast("edge.websocket.idle_timeout_ms", websocket.idle_timeout_ms(),
                   "twice edge.websocket.ping_interval_ms", 2 * websocket.ping_interval_ms()),
           CheckAlgorithms(config.auth()),
           CheckOrigins(config.edge()),
       }) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace slipstream::config
