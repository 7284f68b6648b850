// Nodes of one notification service on one Redis, for tests: each with a client and threads of its
// own, as a process would have.
#ifndef SERVICES_NOTIFICATION_REDIS_HISTORY_FIXTURE_H_
#define SERVICES_NOTIFICATION_REDIS_HISTORY_FIXTURE_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "libs/async/runtime.h"
#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/random/random.h"
#include "libs/redis/client.h"
#include "libs/sync/deadline.h"
#include "libs/sync/mutex.h"
#include "services/notification/engine_testing.h"
#include "services/notification/redis_history_store.h"

namespace slipstream::notification {

inline constexpr absl::Duration kTestPatience = absl::Seconds(60);

// Repeats until it is true; false after kTestPatience. What is waited for is in another process.
template <class Condition>
bool Eventually(Condition condition) {
  const sync::Deadline deadline(kTestPatience);
  while (!condition()) {
    if (deadline.Passed()) return false;
    sync::Mutex mutex;
    sync::CondVar never;
    sync::MutexLock lock(mutex);
    (void)never.WaitFor(mutex, absl::Milliseconds(2));
  }
  return true;
}

// A name of its own for each history of a test.
inline std::string FreshPrefix() {
  static int count = 0;
  return absl::StrCat("test", ++count);
}

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
