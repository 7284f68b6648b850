// Two nodes on a Redis that is paused, killed, emptied and full.
#include <future>

#include "libs/status/status.h"
#include "services/cache/redis_cache_fixture.h"
#include "tests/harness/redis_server.h"

namespace slipstream::cache {
namespace {

class RedisCacheFaultsTest : public testing::Test {
 protected:
  void Start(std::vector<std::string> settings = {}, int64_t l2_max_bytes = 0) {
    server_ = *tests::RedisServer::Start({.settings = std::move(settings)});
    RedisCacheStoreOptions options;
    options.l2_max_bytes = l2_max_bytes;
    for (auto* node : {&a_, &b_}) *node = std::make_unique<RedisCacheNode>(server_->url(), options);
    ASSERT_TRUE(a_->AwaitAttached());
    ASSERT_TRUE(b_->AwaitAttached());
  }
  // Both hold the value in memory.
  void SetEverywhere(const ScopedKey& key, const std::string& value) {
    ASSERT_EQ(a_->Set(key, value).outcome, WriteResult::kStored);
    ASSERT_TRUE(Eventually([&] { return a_->Get(key) == value && a_->InMemory(key) == value; }));
    ASSERT_TRUE(Eventually([&] { return b_->Get(key) == value && b_->InMemory(key) == value; }));
  }
  SharedLease::Result Lease(RedisCacheNode& node, const ScopedKey& key, const std::string& token,
                            absl::Duration lease = absl::Seconds(30)) {
    return Await(node.store().AcquireLease(key, token, lease, 0)).result;
  }
  // Until the node can be written at again.
  bool EventuallyStores(RedisCacheNode& node, const ScopedKey& key, const std::string& value) {
    return Eventually([&] { return node.Set(key, value).outcome == WriteResult::kStored; });
  }

  std::unique_ptr<tests::RedisServer> server_;
  std::unique_ptr<RedisCacheNode> a_, b_;
  const OwnedKey key_{"k"}, other_{"other"};
};

TEST_F(RedisCacheFaultsTest, AnAcknowledgedDeleteIsGoneFromEveryMemory) {
  Start();
  for (int i = 0; i < 50; ++i) {
    SetEverywhere(key_, std::to_string(i));
    const auto erased = (i % 2 == 0 ? a_ : b_)->Delete(key_);
    ASSERT_TRUE(erased.ok()) << erased.status();
    EXPECT_TRUE(erased->existed[0]);
    EXPECT_EQ(erased->done.confirmed_nodes_count + erased->done.lapsed_nodes_count, 2);
    EXPECT_EQ(a_->InMemory(key_), "(ask)");
    EXPECT_EQ(b_->InMemory(key_), "(ask)");
    EXPECT_EQ(a_->Get(key_), "(none)");
    EXPECT_EQ(b_->Get(key_), "(none)");
  }
}

TEST_F(RedisCacheFaultsTest, WhoStoresHoldsIt) {
  Start();
  for (int i = 0; i < 20; ++i) {
    const std::string value = absl::StrCat(i);
    ASSERT_EQ(a_->Set(key_, value).outcome, WriteResult::kStored);
    EXPECT_EQ(a_->InMemory(key_), value) << "also in place of another";
    EXPECT_EQ(b_->InMemory(key_), "(ask)");
    EXPECT_EQ(b_->Get(key_), value);
  }
}

TEST_F(RedisCacheFaultsTest, APausedRedisIsAMissWithinABoundAndNoPromise) {
  Start();
  SetEverywhere(key_, "v");
  server_->Pause();
  ASSERT_TRUE(Eventually([&] { return !a_->store().attached() && !b_->store().attached(); }));
  const absl::Time begin = absl::Now();
  EXPECT_EQ(a_->InMemory(key_), "(none)") << "inline, and not from the memory";
  EXPECT_EQ(b_->Get(other_), "(none)");
  EXPECT_LT(absl::Now() - begin, absl::Seconds(5));
  EXPECT_TRUE(a_->store().second_tier()->degraded);
  EXPECT_EQ(status::Reason(a_->Delete(key_).status()), "CACHE_DEGRADED");
  EXPECT_TRUE(status::RetryAfter(a_->Delete(key_).status()).has_value());
  EXPECT_EQ(a_->Set(key_, "x").outcome, WriteResult::kFailed);
  EXPECT_EQ(a_->Set(key_, "x", "token").outcome, WriteResult::kFillRefused);
  EXPECT_EQ(Lease(*a_, key_, "token"), SharedLease::kDetached);
  server_->Resume();
  EXPECT_TRUE(EventuallyStores(*a_, key_, "after"));
  EXPECT_TRUE(Eventually([&] { return b_->Get(key_) == "after"; }));
  EXPECT_FALSE(a_->store().second_tier()->degraded);
}

TEST_F(RedisCacheFaultsTest, WhatWasDeletedBeforeAKillDoesNotComeBack) {
  Start({"appendonly yes", "appendfsync everysec"});
  SetEverywhere(key_, "old");
  ASSERT_TRUE(server_->Cli({"CONFIG", "SET", "appendfsync", "no"}).ok());
  ASSERT_TRUE(a_->Delete(key_).ok());
  // As if the end of the log had been lost: the value is there again, under what was then true.
  const auto generation = server_->Cli({"HGET", "slipstream{cache}:m", "g"});
  ASSERT_TRUE(generation.ok());
  server_->Kill();
  ASSERT_TRUE(server_->Restart().ok());
  ASSERT_TRUE(Eventually([&] {
    const auto now = server_->Cli({"HGET", "slipstream{cache}:m", "g"});
    return now.ok() && *now != *generation;
  })) << "a server that started anew begins a new generation";
  EXPECT_TRUE(EventuallyStores(*b_, other_, "after"));
  EXPECT_EQ(a_->Get(key_), "(none)");
  EXPECT_EQ(b_->Get(key_), "(none)");
  EXPECT_TRUE(Eventually([&] { return a_->Get(other_) == "after"; }));
}

TEST_F(RedisCacheFaultsTest, ValuesOfAGenerationBeforeAreDead) {
  Start({"appendonly yes", "appendfsync always"});
  SetEverywhere(key_, "old");
  server_->Kill();
  ASSERT_TRUE(server_->Restart().ok());
  EXPECT_TRUE(EventuallyStores(*a_, other_, "after"));
  ASSERT_TRUE(Eventually([&] { return b_->Get(other_) == "after"; }));
  EXPECT_EQ(a_->Get(key_), "(none)") << "it may have been deleted by what was lost";
  EXPECT_EQ(b_->Get(key_), "(none)");
}

// Its caller was told that it failed, and has deleted the key since.
TEST_F(RedisCacheFaultsTest, ASetThatAHungRedisHeldBackIsNotStored) {
  Start();
  server_->Pause();
  auto late = std::async(std::launch::async, [&] { return a_->Set(key_, "late"); });
  EXPECT_EQ(late.get().outcome, WriteResult::kFailed);
  server_->Resume();
  ASSERT_TRUE(Eventually([&] { return b_->Delete(key_).ok(); }));
  ASSERT_TRUE(EventuallyStores(*a_, other_, "after"));
  EXPECT_EQ(b_->Get(key_), "(none)");
  EXPECT_EQ(server_->Cli({"EXISTS", absl::StrCat("slipstream{cache}:v:", key_.key->id())}).value(),
            "0");
}

TEST_F(RedisCacheFaultsTest, ADetachedNodeMayBeLetServeItsMemory) {
  server_ = *tests::RedisServer::Start();
  RedisCacheStoreOptions options;
  options.detached_l1 = absl::Minutes(10);
  RedisCacheNode node(server_->url(), options);
  ASSERT_TRUE(node.AwaitAttached());
  ASSERT_EQ(node.Set(key_, "v").outcome, WriteResult::kStored);
  ASSERT_TRUE(Eventually([&] { return node.Get(key_) == "v" && node.InMemory(key_) == "v"; }));
  server_->Pause();
  ASSERT_TRUE(Eventually([&] { return !node.store().attached(); }));
  EXPECT_EQ(node.InMemory(key_), "v");
  EXPECT_EQ(node.InMemory(other_), "(none)") << "and asks nobody";
  server_->Resume();
  ASSERT_TRUE(node.AwaitAttached());
}

TEST_F(RedisCacheFaultsTest, ACopyInMemoryHasAnAgeOfItsOwn) {
  server_ = *tests::RedisServer::Start();
  RedisCacheStoreOptions options;
  options.l1_max_age_ms.fill(1);
  RedisCacheNode node(server_->url(), options);
  ASSERT_TRUE(node.AwaitAttached());
  ASSERT_EQ(node.Set(key_, "v").outcome, WriteResult::kStored);
  EXPECT_TRUE(Eventually([&] { return node.InMemory(key_) == "(ask)"; }));
  EXPECT_EQ(node.Get(key_), "v") << "the value lives on";
}

TEST_F(RedisCacheFaultsTest, AnEmptiedRedisBeginsAnew) {
  Start();
  SetEverywhere(key_, "v");
  ASSERT_TRUE(server_->Cli({"FLUSHALL"}).ok());
  EXPECT_TRUE(EventuallyStores(*a_, other_, "after"));
  EXPECT_TRUE(Eventually([&] { return b_->Get(other_) == "after"; }));
  EXPECT_NE(b_->InMemory(key_), "v");
}

TEST_F(RedisCacheFaultsTest, ALostPartBeginsAnew) {
  Start();
  for (const char* part : {"m", "c", "q"}) {
    SetEverywhere(key_, "v");
    ASSERT_TRUE(server_->Cli({"DEL", absl::StrCat("slipstream{cache}:", part)}).ok());
    EXPECT_TRUE(EventuallyStores(*a_, other_, part)) << part;
    EXPECT_TRUE(Eventually([&] { return b_->Get(other_) == part; })) << part;
  }
}

TEST_F(RedisCacheFaultsTest, ANodeThatIsGoneIsWaitedForNoLongerThanItsLease) {
  Start();
  SetEverywhere(key_, "v");
  ASSERT_TRUE(server_->Cli({"HSET", "slipstream{cache}:c", "nghost", "1", "aghost", "0"}).ok());
  const auto first = a_->Delete(key_);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->done.lapsed_nodes_count, 1);
  EXPECT_EQ(first->done.confirmed_nodes_count, 2);
  const auto second = a_->Delete(key_);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->done.lapsed_nodes_count, 0) << "it is off the list";
}

TEST_F(RedisCacheFaultsTest, ALostHintIsMadeUpFor) {
  Start();
  SetEverywhere(key_, "v");
  // An invalidation that nobody publishes: found by the renewal, read from the log.
  const std::string script =
      "local o = redis.call('HINCRBY', KEYS[1] .. 'm', 'o', 1) "
      "redis.call('XADD', KEYS[1] .. 'log', o .. '-1', 'r', ARGV[1]) return o";
  const std::string record =
      Invalidation::OfTags(Invalidation::kNamespace,
                           *CallerScopes(ContractUser("alice")).Namespace("shop"))
          .Encode();
  redis::Value unused;
  async::Runtime runtime(1);
  random::SystemRandom random;
  auto client = *redis::Client::Create({runtime.executor(), random, logging::Logger()},
                                       {.url = server_->url()});
  ASSERT_TRUE(Await(client->Eval(redis::Script(script), {"slipstream{cache}:"}, {record})).ok());
  EXPECT_TRUE(Eventually([&] { return b_->InMemory(key_) == "(ask)"; }));
}

TEST_F(RedisCacheFaultsTest, OneLeaseForAllNodes) {
  Start();
  const std::string first(16, '1'), second(16, '2');
  ASSERT_EQ(Lease(*a_, key_, first), SharedLease::kGranted);
  EXPECT_EQ(Lease(*b_, key_, second), SharedLease::kHeld);
  Await(a_->store().EndLease(key_, second));
  EXPECT_EQ(Lease(*b_, key_, second), SharedLease::kHeld) << "only its holder gives it up";
  EXPECT_EQ(b_->Set(key_, "v", second).outcome, WriteResult::kFillRefused);
  EXPECT_EQ(b_->Set(key_, "v", first).outcome, WriteResult::kStored) << "by whichever node";
  EXPECT_EQ(a_->Get(key_), "v");
  EXPECT_EQ(Lease(*b_, key_, second), SharedLease::kChanged);
}

TEST_F(RedisCacheFaultsTest, ALeaseWhoseHolderDiedGoesToTheNext) {
  Start();
  ASSERT_EQ(Lease(*a_, key_, std::string(16, '1'), absl::Milliseconds(200)), SharedLease::kGranted);
  EXPECT_TRUE(
      Eventually([&] { return Lease(*b_, key_, std::string(16, '2')) == SharedLease::kGranted; }));
  EXPECT_EQ(a_->Set(key_, "late", std::string(16, '1')).outcome, WriteResult::kFillRefused);
}

TEST_F(RedisCacheFaultsTest, ItKeepsToItsBytes) {
  constexpr int64_t kMax = 1 << 20;
  Start({}, kMax);
  const std::string value(10'000, 'x');
  for (int i = 0; i < 400; ++i) {
    ASSERT_EQ(a_->Set(OwnedKey(std::to_string(i)), value).outcome, WriteResult::kStored);
  }
  ASSERT_TRUE(Eventually([&] { return a_->store().second_tier()->entries_count > 0; }));
  const auto bytes = server_->Cli({"HGET", "slipstream{cache}:m", "b"});
  ASSERT_TRUE(bytes.ok());
  EXPECT_LE(std::stoll(*bytes), kMax);
  EXPECT_GT(std::stoll(*bytes), kMax * 8 / 10);
  // What had to give way is gone from the memories too.
  int held = 0;
  for (int i = 0; i < 400; ++i) held += a_->InMemory(OwnedKey(std::to_string(i))) == value;
  EXPECT_TRUE(Eventually([&] {
    held = 0;
    for (int i = 0; i < 400; ++i) held += a_->InMemory(OwnedKey(std::to_string(i))) == value;
    return held <= 105;
  })) << held;
}

// 256 MB and noeviction, shared: the cache is given far more than its half, and what a queue would
// store meanwhile is always stored.
TEST_F(RedisCacheFaultsTest, WhoSharesTheRedisIsNeverRefused) {
  Start({"maxmemory 256mb", "maxmemory-policy noeviction"});
  ASSERT_TRUE(Eventually([&] { return a_->store().second_tier()->max_bytes == 128 << 20; }));
  async::Runtime runtime(1);
  random::SystemRandom random;
  auto queue = *redis::Client::Create({runtime.executor(), random, logging::Logger()},
                                      {.url = server_->url()});
  const std::string value(300'000, 'x'), task(1000, 't');
  for (int i = 0; i < 1200; ++i) {
    ASSERT_EQ(a_->Set(OwnedKey(std::to_string(i)), value).outcome, WriteResult::kStored);
    const std::string id = absl::StrCat("queue:", i);
    const auto submitted = Await(queue->Command(id, {"SET", id, task}));
    ASSERT_TRUE(submitted.ok()) << i << " " << submitted.status();
  }
  EXPECT_EQ(a_->store().second_tier()->not_kept_count, 0) << "what is oldest gave way instead";
  ASSERT_TRUE(Eventually([&] { return a_->store().second_tier()->bytes > 100 << 20; }));
  EXPECT_LE(a_->store().second_tier()->server.used_memory_bytes, 256 << 20);
}

TEST_F(RedisCacheFaultsTest, AFullRedisKeepsNothingAndFailsNobody) {
  Start({"maxmemory 20mb", "maxmemory-policy noeviction"}, int64_t{1} << 30);
  SetEverywhere(key_, "old");
  const std::string value(100'000, 'x');
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(a_->Set(OwnedKey(std::to_string(i)), value).outcome, WriteResult::kStored) << i;
  }
  ASSERT_GT(a_->store().second_tier()->not_kept_count, 0);
  ASSERT_EQ(a_->Set(key_, "new").outcome, WriteResult::kStored);
  EXPECT_NE(b_->Get(key_), "old");
  EXPECT_NE(a_->Get(key_), "old");
  EXPECT_TRUE(a_->Delete(OwnedKey("1")).ok()) << "an invalidation needs no room";
  EXPECT_TRUE(a_->store().attached());
}

}  // namespace
}  // namespace slipstream::cache
