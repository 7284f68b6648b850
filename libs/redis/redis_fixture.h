// What the tests of libs/redis share: a runtime, and calls that wait for their answer.
#ifndef LIBS_REDIS_REDIS_FIXTURE_H_
#define LIBS_REDIS_REDIS_FIXTURE_H_

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "libs/async/runtime.h"
#include "libs/async/scope.h"
#include "libs/random/random.h"
#include "libs/redis/client.h"
#include "libs/sync/deadline.h"
#include "libs/sync/mutex.h"
#include "tests/harness/redis_server.h"

namespace slipstream::redis {

inline constexpr absl::Duration kTestPatience = absl::Seconds(30);

class RedisFixture : public testing::Test {
 protected:
  using Reply = absl::StatusOr<Value>;
  using Replies = std::vector<std::future<Reply>>;

  std::unique_ptr<Client> Connect(Options options) {
    auto client = Client::Create({runtime_.executor(), random_, logging::Logger()}, options);
    EXPECT_TRUE(client.ok()) << client.status();
    return client.ok() ? *std::move(client) : nullptr;
  }
  std::unique_ptr<Client> Connect(const std::string& url) { return Connect(Options{.url = url}); }

  static std::future<Reply> Send(Client& client, std::vector<std::string> args,
                                 const std::string& key = "") {
    return Sent([&](Client::Done done) { client.Command(key, std::move(args), std::move(done)); });
  }
  static Reply Do(Client& client, std::vector<std::string> args, const std::string& key = "") {
    return Send(client, std::move(args), key).get();
  }
  static std::future<Reply> SendEval(Client& client, const Script& script,
                                     std::vector<std::string> keys, std::vector<std::string> args) {
    return Sent([&](Client::Done done) {
      client.Eval(script, std::move(keys), std::move(args), std::move(done));
    });
  }

  static std::future<Reply> SendTransaction(Client& client,
                                            std::vector<std::vector<std::string>> commands,
                                            const std::string& key = "") {
    return Sent(
        [&](Client::Done done) { client.Transaction(key, std::move(commands), std::move(done)); });
  }
  // The answer to what `send` sends, which is given the callback.
  static std::future<Reply> Sent(const std::function<void(Client::Done)>& send) {
    auto promise = std::make_shared<std::promise<Reply>>();
    auto future = promise->get_future();
    send([promise](Reply reply) { promise->set_value(std::move(reply)); });
    return future;
  }

  template <class T>
  T Await(std::function<Async<T>()> coroutine) {
    auto promise = std::make_shared<std::promise<T>>();
    auto future = promise->get_future();
    scope_.Spawn([coroutine = std::move(coroutine), promise]() -> Async<void> {
      promise->set_value(co_await coroutine());
    });
    return future.get();
  }

  // Repeats until it is true; false after kTestPatience.
  static bool Eventually(const std::function<bool()>& condition) {
    const sync::Deadline deadline(kTestPatience);
    while (!condition()) {
      if (deadline.Passed()) return false;
      Pause();
    }
    return true;
  }
  // A poll's pause: what is waited for is in another process.
  static void Pause() {
    sync::Mutex mutex;
    sync::CondVar never;
    sync::MutexLock lock(mutex);
    (void)never.WaitFor(mutex, absl::Milliseconds(2));
  }

  random::SystemRandom random_;
  async::Runtime runtime_{2};
  async::Scope scope_{runtime_.executor()};
};

}  // namespace slipstream::redis

#endif  // LIBS_REDIS_REDIS_FIXTURE_H_
