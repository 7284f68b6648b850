// What a service asks of its Redis before it trusts it with data.
//
//   auto report = co_await redis::CheckServer(client);
//   if (!report.ok()) ...                                    // too old, not reachable
//   if (auto s = redis::RequireNoEviction(*report); !s.ok()) ...
//   for (const auto& w : report->warnings) logger.Warning(w);
//
// Thread safety: free functions without state.
#ifndef LIBS_REDIS_SERVER_CHECK_H_
#define LIBS_REDIS_SERVER_CHECK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/async/async.h"
#include "libs/redis/client.h"

namespace slipstream::redis {

struct NodeReport {
  std::string address;  // host:port
  std::string version;  // "7.0.15"
  std::string role;     // "master"
  std::string maxmemory_policy;
  uint64_t maxmemory_bytes = 0;  // 0: no limit
  bool aof_enabled = false;
  std::string appendfsync;   // "everysec", "always", "no"; empty: unknown (CONFIG forbidden)
  bool rdb_enabled = false;  // save points are set; false as well when unknown
  bool cluster_enabled = false;
  bool config_forbidden = false;  // by ACL: INFO was asked instead
};

struct ServerReport {
  std::vector<NodeReport> nodes;  // every primary
  std::string oldest_version;
  bool sharded_pubsub = false;        // every node is Redis 7.0 or later
  bool persistent = false;            // every node keeps an AOF or RDB
  std::vector<std::string> warnings;  // sentences for a log
};

// FAILED_PRECONDITION REDIS_TOO_OLD below Redis 6.0; FAILED_PRECONDITION REDIS_NOT_PRIMARY for a
// replica; the client's errors (client.h) when a primary does not answer.
Async<absl::StatusOr<ServerReport>> CheckServer(Client& client);

// FAILED_PRECONDITION REDIS_EVICTS when a node may evict keys: says what to set.
absl::Status RequireNoEviction(const ServerReport& report);

}  // namespace slipstream::redis

#endif  // LIBS_REDIS_SERVER_CHECK_H_
