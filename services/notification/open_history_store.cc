#include "services/notification/open_history_store.h"

#include <utility>

#include "libs/random/random.h"
#include "libs/redis/client.h"
#include "services/notification/memory_history_store.h"
#include "services/notification/redis_history_store.h"
#include "services/notification/redis_presence.h"
#include "slipstream/config/v1/config.pb.h"

namespace slipstream::notification {

absl::StatusOr<OpenedHistory> OpenHistory(service::Context& context) {
  const config::v1::NotificationConfig& config = context.config.notification();
  const absl::Duration history_ttl = absl::Milliseconds(config.history_ttl_ms());
  OpenedHistory out;
  if (config.redis_url().empty()) {
    out.store = std::make_unique<MemoryHistoryStore>(
        MemoryHistoryOptions{.history_events_count = config.history_events_count(),
                             .history_ttl = history_ttl},
        context.clock, context.random);
    return out;
  }
  const logging::Logger logger = context.logger.With({{"component", "notification"}});
  redis::Options options;
  options.url = config.redis_url();
  options.ca_file = config.redis_ca_file();
  options.cert_file = config.redis_cert_file();
  options.key_file = config.redis_key_file();
  options.client_name = "slipstream-notification";
  auto created = redis::Client::Create(
      {context.runtime.executor(), context.random, logger, &context.metrics}, std::move(options));
  if (!created.ok()) return created.status();
  const std::shared_ptr<redis::Client> client = *std::move(created);
  out.store = std::make_unique<RedisHistoryStore>(
      client, RedisHistoryStore::Deps{context.clock, context.random, logger},
      RedisHistoryOptions{.key_prefix = config.redis_key_prefix(),
                          .history_events_count = config.history_events_count(),
                          .history_ttl = history_ttl});
  out.directory = std::make_unique<RedisPresence>(
      client, context.clock,
      RedisPresenceOptions{.key_prefix = config.redis_key_prefix(),
                           .node_id = random::Uuid7(context.clock, context.random),
                           .remember = history_ttl});
  return out;
}

}  // namespace slipstream::notification
