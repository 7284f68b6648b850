#include "services/task_queue/redis_task_store.h"

#include <memory>
#include <utility>

#include "libs/async/runtime.h"
#include "libs/logging/logger.h"
#include "libs/random/random.h"
#include "libs/redis/client.h"
#include "services/task_queue/contract/named_ids.h"
#include "services/task_queue/contract/task_store_contract.h"
#include "services/task_queue/fallback_task_store.h"
#include "tests/harness/redis_server.h"

namespace slipstream::task_queue {
namespace {

RedisTaskStoreOptions Options(int shards_count) {
  RedisTaskStoreOptions options;
  options.shards_count = shards_count;
  options.max_tasks_count = kContractTasksCount;
  options.room_margin = 0;  // this is the only server
  options.aging_step = kContractAgingStep;
  options.retry = kContractRetry;
  // The contract moves time by hand, and has no forwarder.
  options.session_clock_step = absl::Hours(24 * 365);
  options.forget_waits_for_outbox = false;
  options.server_id = "contract";
  return options;
}

struct Connected {
  Connected(const redis::Options& redis_options, int shards_count)
      : client(
            *redis::Client::Create({runtime.executor(), random, logging::Logger()}, redis_options)),
        store(*client, Options(shards_count)) {}
  async::Runtime runtime{1};
  random::SystemRandom random;
  std::unique_ptr<redis::Client> client;
  RedisTaskStore store;
};

std::unique_ptr<TaskStore> Fresh(const redis::Options& options, int shards_count) {
  auto connected = std::make_shared<Connected>(options, shards_count);
  const auto flushed = Await(connected->client->ForEachPrimary({"FLUSHALL"}));
  for (const auto& one : flushed) EXPECT_TRUE(one.reply.ok()) << one.reply.status();
  return std::make_unique<NamedIds>(connected->store, connected);
}

std::unique_ptr<TaskStore> OnOneServer() {
  static auto* server = new std::unique_ptr<tests::RedisServer>(*tests::RedisServer::Start());
  return Fresh({.url = (*server)->url()}, 1);
}

// More shards than one, and keys that are spread over the slots.
std::unique_ptr<TaskStore> OnACluster() {
  static auto* cluster = new std::unique_ptr<tests::RedisCluster>(*tests::RedisCluster::Start(3));
  for (int i = 0; i < (*cluster)->size(); ++i) {
    const auto flushed = (*cluster)->node(i).Cli({"FLUSHALL"});
    EXPECT_TRUE(flushed.ok()) << flushed.status();
  }
  return Fresh({.url = (*cluster)->url()}, 12);
}

// TLS, and a user who may do no more than the store needs.
std::unique_ptr<TaskStore> OverTlsWithAcl() {
  static auto* server = new std::unique_ptr<tests::RedisServer>(*tests::RedisServer::Start(
      {.settings =
           {"user queue on >a%20secret ~slipstream{*}:* &slipstream{*}:* -@all +@read +@write "
            "+@scripting +@pubsub +@connection +info +role +flushall"},
       .tls = true}));
  std::string url = (*server)->url();
  url.insert(url.find("://") + 3, "queue:a%2520secret@");
  return Fresh({.url = url, .ca_file = (*server)->ca_file()}, 2);
}

// As task_queue.fallback puts memory behind it.
std::unique_ptr<TaskStore> BehindAFallback() {
  static auto* server = new std::unique_ptr<tests::RedisServer>(*tests::RedisServer::Start());
  struct WithFallback {
    explicit WithFallback(const redis::Options& options) : connected(options, 1) {}
    Connected connected;
    FallbackTaskStore store{std::shared_ptr<TaskStore>(std::shared_ptr<void>(), &connected.store),
                            MemoryTaskStoreOptions{}, FallbackOptions{.connected = [this] {
                              return connected.client->connected();
                            }}};
  };
  auto fallback = std::make_shared<WithFallback>(redis::Options{.url = (*server)->url()});
  const auto flushed = Await(fallback->connected.client->ForEachPrimary({"FLUSHALL"}));
  for (const auto& one : flushed) EXPECT_TRUE(one.reply.ok()) << one.reply.status();
  return std::make_unique<NamedIds>(fallback->store, fallback);
}

std::string NameOf(const testing::TestParamInfo<MakeStore>& info) {
  static const char* const names[] = {"OneServer", "Cluster", "TlsAndAcl", "BehindAFallback"};
  return names[info.index];
}

INSTANTIATE_TEST_SUITE_P(Redis, TaskStoreContract,
                         testing::Values(MakeStore(OnOneServer), MakeStore(OnACluster),
                                         MakeStore(OverTlsWithAcl), MakeStore(BehindAFallback)),
                         NameOf);

}  // namespace
}  // namespace slipstream::task_queue
