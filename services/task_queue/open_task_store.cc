#include "services/task_queue/open_task_store.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/async/deadline.h"
#include "libs/async/event.h"
#include "libs/random/random.h"
#include "libs/redis/client.h"
#include "libs/redis/errors.h"
#include "libs/redis/server_check.h"
#include "libs/status/status.h"
#include "services/task_queue/fallback_task_store.h"
#include "services/task_queue/memory_task_store.h"
#include "services/task_queue/redis_task_store.h"
#include "slipstream/config/v1/config.pb.h"

namespace slipstream::task_queue {

namespace {

constexpr absl::Duration kStartPoll = absl::Milliseconds(200);

task_state::RetryPolicy RetryOf(const config::v1::TaskQueueConfig& config) {
  return {absl::Milliseconds(config.retry_backoff_base_ms()),
          absl::Milliseconds(config.retry_backoff_max_ms())};
}

MemoryTaskStoreOptions MemoryOf(const config::v1::TaskQueueConfig& config) {
  MemoryTaskStoreOptions options;
  options.max_tasks_count = config.max_tasks_count();
  options.aging_step = absl::Milliseconds(config.aging_step_ms());
  options.retry = RetryOf(config);
  return options;
}

// Waits until Redis answers, and refuses one that would lose tasks.
Async<absl::Status> Check(redis::Client& client, RedisTaskStore& store, const clock::Clock& clock,
                          logging::Logger logger, absl::Duration timeout) {
  const absl::Duration end = clock.Monotonic() + timeout;
  auto report = co_await redis::CheckServer(client);
  for (bool first = true; absl::IsUnavailable(report.status()) && clock.Monotonic() < end;) {
    if (std::exchange(first, false)) {
      logger.Warning("Redis does not answer yet; waiting for it", {{"error", report.status()}});
    }
    async::Event never;
    co_await never.Wait(never.version(), async::After(kStartPoll));
    report = co_await redis::CheckServer(client);
  }
  if (!report.ok()) co_return report.status();
  if (absl::Status keeps = redis::RequireNoEviction(*report); !keeps.ok()) co_return keeps;
  for (const std::string& warning : report->warnings) logger.Warning(warning);
  if (!report->persistent) {
    logger.Warning(
        "this Redis keeps nothing on disk: a restart of it loses every task; set `appendonly yes`");
  }
  co_return co_await store.CheckLayout();
}

absl::StatusOr<std::unique_ptr<TaskStore>> OpenRedis(service::Context& context) {
  const config::v1::TaskQueueConfig& config = context.config.task_queue();
  redis::Options options;
  options.url = config.redis_url();
  options.ca_file = config.redis_ca_file();
  options.cert_file = config.redis_cert_file();
  options.key_file = config.redis_key_file();
  options.client_name = "slipstream-task-queue";
  options.wait_replicas_count = config.redis_wait_replicas_count();
  options.wait_timeout = absl::Milliseconds(config.redis_wait_timeout_ms());
  const logging::Logger logger = context.logger.With({{"component", "task_queue"}});
  auto client = redis::Client::Create(
      {context.runtime.executor(), context.random, logger, &context.metrics}, options);
  if (!client.ok()) return client.status();

  RedisTaskStoreOptions store_options;
  store_options.name = config.redis_key_prefix();
  store_options.shards_count = config.redis_shards_count();
  store_options.max_tasks_count = config.redis_max_tasks_count();
  store_options.aging_step = absl::Milliseconds(config.aging_step_ms());
  store_options.retry = RetryOf(config);
  store_options.server_id = random::Uuid7(context.clock, context.random);
  redis::Client& connected = **client;
  auto store = std::make_unique<RedisTaskStore>(*std::move(client), std::move(store_options));
  // Also with a fallback: no task may come into a Redis that was not checked.
  std::future<absl::Status> checked =
      boost::asio::co_spawn(context.runtime.executor(),
                            Check(connected, *store, context.clock, logger,
                                  absl::Milliseconds(config.redis_start_timeout_ms())),
                            boost::asio::use_future);
  if (absl::Status status = checked.get(); !status.ok()) return status;
  if (config.fallback() != config::v1::TaskQueueConfig::MEMORY) return store;
  logger.Warning("while Redis is away tasks are accepted in memory, at the risk of this process");
  return std::make_unique<FallbackTaskStore>(
      std::shared_ptr<TaskStore>(std::move(store)), MemoryOf(config),
      FallbackOptions{.connected = [&connected] { return connected.connected(); },
                      .says_away =
                          [](const absl::Status& status) {
                            return absl::IsUnavailable(status) &&
                                   status::Reason(status) == redis::kUnavailable;
                          }});
}

}  // namespace

absl::StatusOr<std::unique_ptr<TaskStore>> OpenTaskStore(service::Context& context) {
  const config::v1::TaskQueueConfig& config = context.config.task_queue();
  if (!config.redis_url().empty()) return OpenRedis(context);
  return std::make_unique<MemoryTaskStore>(MemoryOf(config));
}

}  // namespace slipstream::task_queue
