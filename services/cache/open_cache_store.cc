#include "services/cache/open_cache_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/random/random.h"
#include "libs/redis/client.h"
#include "services/cache/local_cache_store.h"
#include "services/cache/redis_cache_store.h"
#include "slipstream/config/v1/config.pb.h"

namespace slipstream::cache {

namespace {

// By the names that TTLs and ages have in common.
template <class BySeconds>
std::array<int64_t, kTypeCount> MillisOf(const BySeconds& config) {
  std::array<int64_t, kTypeCount> out{};
  out[v1::CacheKey::API_RESPONSE] = config.api_response_s() * 1000;
  out[v1::CacheKey::SEARCH_RESULTS] = config.search_results_s() * 1000;
  out[v1::CacheKey::BUDGET_STATUS] = config.budget_status_s() * 1000;
  out[v1::CacheKey::LLM_RESPONSE] = config.llm_response_s() * 1000;
  out[v1::CacheKey::USER_SESSION] = config.user_session_s() * 1000;
  out[v1::CacheKey::VECTOR_SEARCH] = config.vector_search_s() * 1000;
  out[v1::CacheKey::SYSTEM_STATS] = config.system_stats_s() * 1000;
  return out;
}

absl::StatusOr<std::unique_ptr<CacheStore>> OpenRedis(service::Context& context,
                                                      const MemoryCacheStore::Options& memory) {
  const config::v1::CacheConfig& config = context.config.cache();
  const logging::Logger logger = context.logger.With({{"component", "cache"}});
  redis::Options redis_options;
  redis_options.url = config.redis_url();
  redis_options.ca_file = config.redis_ca_file();
  redis_options.cert_file = config.redis_cert_file();
  redis_options.key_file = config.redis_key_file();
  redis_options.client_name = "slipstream-cache";
  redis_options.command_timeout = RedisCacheStore::kCommandTimeout;
  redis_options.greeting = RedisCacheStore::Greeting(config.redis_key_prefix());
  auto client =
      redis::Client::Create({context.runtime.executor(), context.random, logger, &context.metrics},
                            std::move(redis_options));
  if (!client.ok()) return client.status();
  RedisCacheStoreOptions options;
  options.memory = memory;
  options.node_id = random::Uuid7(context.clock, context.random);
  options.key_prefix = config.redis_key_prefix();
  options.l2_max_bytes = config.l2_max_bytes();
  options.lease = absl::Milliseconds(config.lease_ms());
  options.read_timeout = absl::Milliseconds(config.l2_timeout_ms());
  options.detached_l1 = absl::Milliseconds(config.detached_l1_ms());
  options.l1_max_age_ms = MillisOf(config.l1_max_age());
  auto store = std::make_unique<RedisCacheStore>(*std::move(client), context.clock, logger,
                                                 std::move(options));
  store->Start();
  return store;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CacheStore>> OpenCacheStore(service::Context& context) {
  const config::v1::CacheConfig& config = context.config.cache();
  const int64_t percent = config.tenant_quota_percent();
  const MemoryCacheStore::Options memory{.max_bytes = config.l1_max_bytes(),
                                         .max_value_bytes = config.max_value_bytes(),
                                         .quota_bytes = config.l1_max_bytes() / 100 * percent};
  if (!config.redis_url().empty()) return OpenRedis(context, memory);
  return std::make_unique<LocalCacheStore>(
      memory, context.random.Next64(),
      absl::StrCat(absl::Hex(context.random.Next64(), absl::kZeroPad16)));
}

}  // namespace slipstream::cache
