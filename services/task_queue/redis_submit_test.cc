// How plain submits reach Redis: by transactions while there is room for sure, else by the script.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/async/runtime.h"
#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/random/random.h"
#include "libs/redis/client.h"
#include "libs/status/status.h"
#include "libs/sync/deadline.h"
#include "libs/sync/mutex.h"
#include "services/task_queue/contract/await.h"
#include "services/task_queue/redis_task_store.h"
#include "tests/harness/redis_server.h"

namespace slipstream::task_queue {
namespace {

class RedisSubmitTest : public testing::Test {
 protected:
  // Another server of the same queue, with or without a Redis user of its own.
  struct Server {
    Server(const std::string& url, RedisTaskStoreOptions options)
        : client(*redis::Client::Create({runtime.executor(), random, logging::Logger()},
                                        {.url = url})),
          store(*client, std::move(options)) {}
    async::Runtime runtime{1};
    random::SystemRandom random;
    std::unique_ptr<redis::Client> client;
    RedisTaskStore store;
  };

  void Start(std::vector<std::string> settings = {}) {
    auto redis = tests::RedisServer::Start({.settings = std::move(settings)});
    ASSERT_TRUE(redis.ok()) << redis.status();
    redis_ = *std::move(redis);
  }
  std::unique_ptr<Server> Connect(int64_t max_tasks_count, int64_t room_margin,
                                  const std::string& user = "") {
    RedisTaskStoreOptions options;
    options.max_tasks_count = max_tasks_count;
    options.room_margin = room_margin;
    std::string url = redis_->url();
    if (!user.empty()) url.insert(url.find("://") + 3, user + "@");
    return std::make_unique<Server>(url, std::move(options));
  }

  absl::Status Submit(Server& server, int count = 1) {
    std::vector<NewTask> tasks(static_cast<size_t>(count));
    for (NewTask& task : tasks) {
      task.task_id = server.store.MakeTaskId(random::Uuid7(clock_, server.random), "alice", "");
      task.task_type = "echo";
      task.args = MakeBytes("args");
      task.owner = "alice";
      task.max_attempts = 3;
    }
    const auto submitted = Await(server.store.SubmitBatch(tasks, false, now_));
    if (!submitted.ok()) return submitted.status();
    return (*submitted)[0].status();
  }
  int64_t ScriptCalls() {
    const std::string stats = *redis_->Cli({"INFO", "commandstats"});
    constexpr std::string_view kName = "cmdstat_evalsha:calls=";
    const size_t at = stats.find(kName);
    if (at == std::string::npos) return 0;
    const size_t begin = at + kName.size();
    int64_t count = 0;
    EXPECT_TRUE(absl::SimpleAtoi(stats.substr(begin, stats.find(',', begin) - begin), &count));
    return count;
  }
  bool SubmitsByScript(Server& server) {
    const int64_t before = ScriptCalls();
    const absl::Status submitted = Submit(server);
    EXPECT_TRUE(submitted.ok()) << submitted;
    return ScriptCalls() > before;
  }
  // Submits until the server has heard of the total, which it asks for behind its first submit.
  // Answers how many that took.
  int64_t SubmitUntilByTransaction(Server& server) {
    const sync::Deadline deadline(absl::Seconds(30));
    int64_t count = 1;
    while (SubmitsByScript(server) && !deadline.Passed()) ++count;
    EXPECT_FALSE(deadline.Passed());
    return count;
  }
  int64_t Total() {
    int64_t total = 0;
    EXPECT_TRUE(absl::SimpleAtoi(*redis_->Cli({"HGET", "slipstream{0}:n", "total"}), &total));
    return total;
  }

  const absl::Time now_ = absl::FromUnixSeconds(1767225600);
  clock::SystemClock clock_;  // for ids alone
  std::unique_ptr<tests::RedisServer> redis_;
};

TEST_F(RedisSubmitTest, EitherWayLeavesTheSame) {
  Start();
  auto server = Connect(1'000, 0);
  EXPECT_TRUE(SubmitsByScript(*server)) << "the total is not known yet";
  const int64_t count = 1 + SubmitUntilByTransaction(*server);
  EXPECT_FALSE(SubmitsByScript(*server));
  EXPECT_EQ(Total(), count + 1);
  EXPECT_EQ(*redis_->Cli({"HGET", "slipstream{0}:n", "s2"}), absl::StrCat(count + 1));
  EXPECT_EQ(*redis_->Cli({"ZCARD", "slipstream{0}:r:echo"}), "1");
  const SessionLease session{"s1", now_ + absl::Seconds(15), "worker"};
  ASSERT_TRUE(Await(server->store.OpenSession(session, now_)).ok());
  const std::vector<LeaseType> types = {{"echo", 0, 0}};
  const auto leased = Await(server->store.LeaseBatch("s1", types, 100, now_));
  ASSERT_TRUE(leased.ok()) << leased.status();
  EXPECT_EQ(static_cast<int64_t>(leased->size()), count + 1);
}

TEST_F(RedisSubmitTest, NearTheBoundItIsLookedAtEachTime) {
  Start();
  auto one = Connect(40, 10), other = Connect(40, 10);
  int64_t count = SubmitUntilByTransaction(*one);
  ASSERT_LT(count, 10);
  count += SubmitUntilByTransaction(*other);
  ASSERT_LT(count, 20);
  // `one` does not hear of these.
  while (count < 29) {
    ASSERT_TRUE(Submit(*other).ok());
    ++count;
  }
  ASSERT_TRUE(Submit(*one).ok());
  EXPECT_EQ(Total(), 30);
  ASSERT_TRUE(Submit(*other).ok());  // has last heard of 29
  for (int i = 31; i < 40; ++i) {
    EXPECT_TRUE(SubmitsByScript(i % 2 == 0 ? *one : *other)) << i << " and ten more do not fit";
  }
  for (Server* server : {one.get(), other.get()}) {
    EXPECT_EQ(status::Reason(Submit(*server)), kQueueFull);
  }
  EXPECT_EQ(Total(), 40);
}

TEST_F(RedisSubmitTest, AUserWhoMayNotUseTransactionsSubmitsAllTheSame) {
  Start(
      {"user queue on >secret ~slipstream{*}:* &slipstream{*}:* -@all +@read +@write +@scripting "
       "+@pubsub +@connection +info"});
  auto server = Connect(1'000, 0, "queue:secret");
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(SubmitsByScript(*server));
  EXPECT_EQ(Total(), 20);
}

TEST_F(RedisSubmitTest, TheWorkersOfOtherServersAreToldOfWorkThatComes) {
  Start();
  auto server = Connect(1'000, 0);
  SubmitUntilByTransaction(*server);
  struct News {
    sync::Mutex mutex;
    sync::CondVar changed;
    bool up ABSL_GUARDED_BY(mutex) = false;
    int count ABSL_GUARDED_BY(mutex) = 0;
  } news;
  const auto subscription = server->client->Subscribe(
      {"slipstream{0}:news"},
      [&news](std::string_view, std::string_view) {
        sync::MutexLock lock(news.mutex);
        ++news.count;
        news.changed.SignalAll();
      },
      [&news](bool up) {
        sync::MutexLock lock(news.mutex);
        news.up = up;
        news.changed.SignalAll();
      });
  const sync::Deadline deadline(absl::Seconds(30));
  const auto wait = [&](const auto& until) {
    sync::MutexLock lock(news.mutex);
    while (!until() && !deadline.Passed()) {
      (void)news.changed.WaitFor(news.mutex, absl::Milliseconds(100));
    }
    return until();
  };
  ASSERT_TRUE(wait([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(news.mutex) { return news.up; }));
  // All work is taken: the tenant leaves the ring, and comes again with the next submit.
  const SessionLease session{"s1", now_ + absl::Seconds(15), "worker"};
  ASSERT_TRUE(Await(server->store.OpenSession(session, now_)).ok());
  const std::vector<LeaseType> types = {{"echo", 0, 0}};
  ASSERT_TRUE(Await(server->store.LeaseBatch("s1", types, 100, now_)).ok());
  EXPECT_FALSE(SubmitsByScript(*server));
  EXPECT_TRUE(wait([&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(news.mutex) { return news.count > 0; }));
}

}  // namespace
}  // namespace slipstream::task_queue
