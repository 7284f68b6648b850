// Single-flight over two nodes: engines on one Redis, and callers that wait as the service does.
#include <atomic>
#include <future>

#include "gtest/gtest.h"
#include "libs/async/deadline.h"
#include "services/cache/cache_engine.h"
#include "services/cache/redis_cache_fixture.h"
#include "tests/harness/redis_server.h"

namespace slipstream::cache {
namespace {

class RedisFlightTest : public testing::Test {
 protected:
  struct Node {
    explicit Node(const std::string& url)
        : node(url, {}), engine({node.store(), clock, random}, {}) {}
    clock::SystemClock clock;
    random::SystemRandom random;
    RedisCacheNode node;
    CacheEngine engine;
  };

  void SetUp() override {
    for (auto& node : nodes_) {
      node = std::make_unique<Node>(server_->url());
      ASSERT_TRUE(node->node.AwaitAttached());
    }
  }

  // What a caller gets who computes `computed` when the lease is his; at most tests::kPatience.
  Async<std::string> GetOrCompute(CacheEngine& engine, const ScopedKey& key, std::string computed,
                                  absl::Duration takes, absl::Duration lease) {
    for (;;) {
      LeaseAnswer answer = co_await engine.GetOrLease(key, lease, false);
      if (answer.result == LeaseAnswer::kHit) co_return std::string(answer.found.entry->value());
      if (answer.result == LeaseAnswer::kLeased) {
        computed_count_.fetch_add(1);
        async::Event never;
        co_await never.Wait(never.version(), async::After(takes));
        if (computed == "(dies)") co_return computed;
        const v1::EntryOptions options;
        const SetItem item{&key, computed, &options, {}, {}};
        const auto filled = co_await engine.Fill(item, answer.token);
        EXPECT_TRUE(filled.ok() && filled->has_value());
        co_return computed;
      }
      if (answer.result == LeaseAnswer::kBusy) co_return "(busy)";
      const absl::Duration left = answer.held.until - clock_.Monotonic();
      co_await answer.held.ended->Wait(answer.held.seen_version,
                                       async::After(std::max(left, absl::Milliseconds(1))));
    }
  }

  async::Runtime callers_{2};  // outlives what its coroutines have waited for
  const std::unique_ptr<tests::RedisServer> server_ = *tests::RedisServer::Start();
  clock::SystemClock clock_;
  std::atomic<int> computed_count_{0};
  std::unique_ptr<Node> nodes_[2];
};

TEST_F(RedisFlightTest, AThousandMissesAtTwoNodesComputeOnce) {
  const OwnedKey key("k");
  std::vector<std::future<std::string>> answers;
  for (int i = 0; i < 1000; ++i) {
    answers.push_back(boost::asio::co_spawn(
        callers_.executor(),
        GetOrCompute(nodes_[i % 2]->engine, key, "v", absl::Milliseconds(300), absl::Minutes(1)),
        boost::asio::use_future));
  }
  for (auto& answer : answers) EXPECT_EQ(answer.get(), "v");
  EXPECT_EQ(computed_count_, 1);
}

TEST_F(RedisFlightTest, WhenTheHolderDiesOneOtherComputes) {
  const OwnedKey key("k");
  EXPECT_EQ(Await(GetOrCompute(nodes_[0]->engine, key, "(dies)", absl::ZeroDuration(),
                               absl::Milliseconds(500))),
            "(dies)");
  std::vector<std::future<std::string>> answers;
  for (int i = 0; i < 100; ++i) {
    answers.push_back(boost::asio::co_spawn(
        callers_.executor(),
        GetOrCompute(nodes_[i % 2]->engine, key, "v", absl::Milliseconds(50), absl::Minutes(1)),
        boost::asio::use_future));
  }
  for (auto& answer : answers) EXPECT_EQ(answer.get(), "v");
  EXPECT_EQ(computed_count_, 2);
}

TEST_F(RedisFlightTest, WithoutRedisNobodyWaits) {
  const OwnedKey key("k");
  server_->Pause();
  ASSERT_TRUE(Eventually([&] { return !nodes_[0]->node.store().attached(); }));
  const LeaseAnswer first = Await(nodes_[0]->engine.GetOrLease(key, absl::Minutes(1), false));
  ASSERT_EQ(first.result, LeaseAnswer::kLeased);
  EXPECT_EQ(Await(nodes_[0]->engine.GetOrLease(key, absl::Minutes(1), false)).result,
            LeaseAnswer::kBusy);
  const v1::EntryOptions options;
  const SetItem item{key.key.get(), "v", &options, {}, {}};
  const auto filled = Await(nodes_[0]->engine.Fill(item, first.token));
  ASSERT_TRUE(filled.ok()) << filled.status();
  EXPECT_FALSE(filled->has_value());
  server_->Resume();
}

}  // namespace
}  // namespace slipstream::cache
