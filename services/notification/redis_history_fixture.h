// Nodes of one notification service on one Redis, for tests: each with a client and threads of its
// own, as a process would have.
#ifndef SERVICES_NOTIFICATION_REDIS_HISTORY_FIXTURE_H_
#define SERVICES_NOTIFICATION_REDIS_HISTORY_FIXTURE_H_

#include <memory>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "libs/async/runtime.h"
#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/random/random.h"
#include "libs/redis/client.h"
#include "services/notification/engine_testing.h"
#include "services/notification/redis_history_store.h"
#include "tests/harness/redis_nodes.h"

namespace slipstream::notification {

using tests::Eventually;
using tests::FreshPrefix;

// A store with the client and the threads it needs. `clock` outlives it.
class RedisHistoryNode {
 public:
  RedisHistoryNode(redis::Options redis_options, RedisHistoryOptions options,
                   const clock::Clock& clock) {
    auto client = redis::Client::Create({runtime_.executor(), random_, logging::Logger()},
                                        std::move(redis_options));
    EXPECT_TRUE(client.ok()) << client.status();
    client_ = *std::move(client);
    store_ = std::make_unique<RedisHistoryStore>(
        client_, RedisHistoryStore::Deps{clock, random_, logging::Logger()}, std::move(options));
    EXPECT_TRUE(AwaitAttached());
  }
  ~RedisHistoryNode() { store_.reset(); }

  RedisHistoryStore& store() { return *store_; }
  const std::shared_ptr<redis::Client>& client() const { return client_; }
  random::Random& random() { return random_; }
  Executor executor() { return runtime_.executor(); }
  bool AwaitAttached() {
    return Eventually([this] { return !store_->degraded(); });
  }

 private:
  random::SystemRandom random_;
  async::Runtime runtime_{1};
  std::shared_ptr<redis::Client> client_;
  std::unique_ptr<RedisHistoryStore> store_;
};

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_REDIS_HISTORY_FIXTURE_H_
