#include "services/cache/cache_module.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/async/scope.h"
#include "services/cache/cache_engine.h"
#include "services/cache/cache_metrics.h"
#include "services/cache/cache_service.h"
#include "services/cache/open_cache_store.h"
#include "slipstream/config/v1/config.pb.h"

namespace slipstream::cache {

namespace {

constexpr absl::Duration kTickPeriod = absl::Seconds(1);

// Share of a message that is left to what stands beside the values.
constexpr int64_t kMessageRoomShare = 16;

EngineOptions OptionsOf(const config::v1::CacheConfig& config) {
  EngineOptions out;
  out.max_value_bytes = config.max_value_bytes();
  const auto& ttl = config.ttl();
  const auto set = [&out](Type type, int64_t seconds) {
    out.default_ttl_ms[static_cast<size_t>(type)] = seconds * 1000;
  };
  set(v1::CacheKey::API_RESPONSE, ttl.api_response_s());
  set(v1::CacheKey::SEARCH_RESULTS, ttl.search_results_s());
  set(v1::CacheKey::BUDGET_STATUS, ttl.budget_status_s());
  set(v1::CacheKey::LLM_RESPONSE, ttl.llm_response_s());
  set(v1::CacheKey::USER_SESSION, ttl.user_session_s());
  set(v1::CacheKey::VECTOR_SEARCH, ttl.vector_search_s());
  set(v1::CacheKey::SYSTEM_STATS, ttl.system_stats_s());
  return out;
}

CacheServiceOptions ServiceOptionsOf(service::Context& context) {
  CacheServiceOptions out;
  const int64_t message_bytes = context.config.rpc().max_message_bytes();
  out.max_response_bytes = message_bytes - message_bytes / kMessageRoomShare;
  out.permissions = &context.permissions;
  return out;
}

class CacheModule final : public service::Module {
 public:
  CacheModule(service::Context& context, std::unique_ptr<CacheStore> store)
      : store_(std::move(store)),
        engine_({*store_, context.clock, context.random}, OptionsOf(context.config.cache())),
        service_(engine_, context.dispatcher, ServiceOptionsOf(context)),
        metrics_(AddCacheMetrics(context.metrics, engine_)),
        loops_(context.runtime.executor()) {}

  std::vector<service::ReadinessCheck> ReadinessChecks() override {
    return {
        {.name = "cache",
         .check =
             [this] {
               if (store_->attached()) return absl::OkStatus();
               return absl::UnavailableError(
                   "degraded: the cache's Redis does not answer; reads miss, writes are refused");
             },
         .only_degrades = true}};
  }
  std::vector<grpc::Service*> Services() override { return {service_.grpc()}; }

  absl::Status Start() override {
    loops_.Spawn([this]() -> Async<void> {
      while (co_await loops_.SleepFor(kTickPeriod)) engine_.Tick();
    });
    return absl::OkStatus();
  }

  void Drain(absl::Time) override { engine_.watch_log().Close(); }
  void Stop() override {
    loops_.Close();
    store_->Stop();
  }

 private:
  const std::unique_ptr<CacheStore> store_;
  CacheEngine engine_;
  CacheService service_;
  metrics::Registry::Registration metrics_;
  async::Scope loops_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<service::Module>> MakeCacheModule(service::Context& context) {
  const auto& config = context.config.cache();
  if (config.l1_max_bytes() < 4 * config.max_value_bytes()) {
    return absl::FailedPreconditionError(
        absl::StrCat("cache.l1_max_bytes is ", config.l1_max_bytes(), ", less than four values of ",
                     config.max_value_bytes(), " bytes; raise it to at least ",
                     4 * config.max_value_bytes(), " or lower cache.max_value_bytes"));
  }
  auto store = OpenCacheStore(context);
  if (!store.ok()) return store.status();
  return std::make_unique<CacheModule>(context, *std::move(store));
}

}  // namespace slipstream::cache
