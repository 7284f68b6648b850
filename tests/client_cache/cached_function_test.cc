// CachedFunction against a cache service in this process.
#include "libs/client/cache/cached_function.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <thread>

#include "gtest/gtest.h"
#include "libs/client/cache/typed_cached_function.h"
#include "libs/clock/fake_clock.h"
#include "libs/rpc/channel.h"
#include "tests/harness/cache_server.h"

namespace slipstream::cache_client {
namespace {

using testing_harness::CacheServer;
using Result = absl::StatusOr<CachedAnswer>;

class CachedFunctionTest : public testing::Test {
 protected:
  // As another process: with flights of its own.
  struct Process {
    Process(CachedFunctionTest& test, CachedFunctionOptions options)
        : client(test.server_.channel()),
          scope(test.server_.executor()),
          function({client, scope, test.clock_, test.random_}, std::move(options)) {}
    CacheClient client;
    async::Scope scope;
    CachedFunction function;
  };

  static CachedFunctionOptions Options() {
    CachedFunctionOptions out;
    out.cache_timeout = absl::Seconds(15);  // the machine may be busy
    out.entry.set_ttl_ms(100'000);
    out.entry.set_soft_ttl_ms(10'000);
    out.ttl_jitter_percent = 0;
    return out;
  }
  static cache::v1::CacheKey Key(const std::string& text) {
    cache::v1::CacheKey out;
    out.set_namespace_("shop");
    out.set_type(cache::v1::CacheKey::LLM_RESPONSE);
    out.set_scope(cache::v1::CacheKey::USER);
    out.set_key(text);
    return out;
  }

  template <class T>
  std::future<T> Spawn(Async<T> coroutine) {
    return boost::asio::co_spawn(server_.executor(), std::move(coroutine), boost::asio::use_future);
  }
  template <class T>
  T Await(Async<T> coroutine) {
    return Spawn(std::move(coroutine)).get();
  }

  // Answers "answer N" of the Nth computation, when the gate is open.
  CachedFunction::Compute Counting() {
    return [this]() -> Async<Computed> {
      const int n = ++computed_;
      while (!open_) {
        const uint64_t seen = gate_.version();
        if (!open_) co_await gate_.Wait(seen);
      }
      co_return "answer " + std::to_string(n);
    };
  }
  static CachedFunction::Compute Failing() {
    return []() -> Async<Computed> { co_return absl::InternalError("the model is away"); };
  }
  void Open() {
    open_ = true;
    gate_.Notify();
  }
  void WaitForComputed(int count) {
    while (computed_ < count) std::this_thread::yield();
  }
  std::future<Result> Ask(Process& process, const std::string& text = "k",
                          const std::string& user = "alice") {
    return Spawn(process.function.Call(CacheServer::As(user), Key(text), Counting()));
  }
  static std::string ValueOf(const Result& result) {
    if (!result.ok()) return std::string(result.status().message());
    return result->value.value_or("none");
  }

  clock::FakeClock clock_;
  random::SeededRandom random_{1};
  CacheServer server_{clock_};
  std::atomic<int> computed_{0};
  std::atomic<bool> open_{true};
  async::Event gate_;
};

TEST_F(CachedFunctionTest, ComputesOnceAndThenHits) {
  Process process(*this, Options());
  const Result first = Ask(process).get(), second = Ask(process).get();
  EXPECT_EQ(ValueOf(first), "answer 1");
  EXPECT_EQ(first->source, CachedAnswer::kComputed);
  EXPECT_EQ(ValueOf(second), "answer 1");
  EXPECT_EQ(second->source, CachedAnswer::kCache);
  EXPECT_EQ(ValueOf(Ask(process, "k", "bob").get()), "answer 2") << "another user's is another one";
}

TEST_F(CachedFunctionTest, ManyCallersInTwoProcessesComputeOnce) {
  Process one(*this, Options()), two(*this, Options());
  open_ = false;
  std::vector<std::future<Result>> answers;
  for (int i = 0; i < 50; ++i) {
    answers.push_back(Ask(one));
    answers.push_back(Ask(two));
  }
  WaitForComputed(1);
  Open();
  for (auto& answer : answers) EXPECT_EQ(ValueOf(answer.get()), "answer 1");
  EXPECT_EQ(computed_, 1);
}

TEST_F(CachedFunctionTest, OneRenewsAStaleValueAndTheOthersTakeIt) {
  Process one(*this, Options()), two(*this, Options());
  EXPECT_TRUE(Ask(one).get().ok());
  clock_.Advance(absl::Seconds(11));
  open_ = false;
  auto renewing = Ask(one);
  WaitForComputed(2);
  const Result stale = Ask(two).get();
  EXPECT_EQ(ValueOf(stale), "answer 1");
  EXPECT_EQ(stale->source, CachedAnswer::kStale);
  Open();
  EXPECT_EQ(ValueOf(renewing.get()), "answer 2");
  EXPECT_EQ(ValueOf(Ask(two).get()), "answer 2");
}

TEST_F(CachedFunctionTest, RenewsInTheBackgroundWhenAsked) {
  CachedFunctionOptions options = Options();
  options.renew_in_background = true;
  Process process(*this, options);
  EXPECT_TRUE(Ask(process).get().ok());
  clock_.Advance(absl::Seconds(11));
  open_ = false;
  const Result stale = Ask(process).get();
  EXPECT_EQ(ValueOf(stale), "answer 1") << "nobody waits";
  EXPECT_EQ(stale->source, CachedAnswer::kStale);
  WaitForComputed(2);
  Open();
  process.scope.Close();  // the renewal is over
  EXPECT_EQ(Ask(process).get()->source, CachedAnswer::kCache);
  EXPECT_EQ(computed_, 2);
}

TEST_F(CachedFunctionTest, AStaleValueStandsInForAnErrorWithinItsBound) {
  CachedFunctionOptions options = Options();
  options.max_age_on_error = absl::Seconds(30);
  Process process(*this, options);
  EXPECT_TRUE(Ask(process).get().ok());
  const auto fail = [&] {
    return Await(process.function.Call(CacheServer::As("alice"), Key("k"), Failing()));
  };
  clock_.Advance(absl::Seconds(11));
  const Result stale = fail();
  EXPECT_EQ(ValueOf(stale), "answer 1");
  EXPECT_EQ(stale->source, CachedAnswer::kStaleOnError);
  EXPECT_EQ(stale->error.message(), "the model is away");
  clock_.Advance(absl::Seconds(20));
  EXPECT_EQ(ValueOf(fail()), "the model is away") << "too old by now";
}

TEST_F(CachedFunctionTest, AFailureGivesTheLeaseUp) {
  Process one(*this, Options()), two(*this, Options());
  EXPECT_EQ(ValueOf(Await(one.function.Call(CacheServer::As("alice"), Key("k"), Failing()))),
            "the model is away");
  one.scope.Close();  // the lease has been given up
  EXPECT_EQ(server_.Stats().leases_count, 0);
  EXPECT_EQ(ValueOf(Ask(two).get()), "answer 1");
}

TEST_F(CachedFunctionTest, ACancelledLeaderLetsAnotherOneLead) {
  Process process(*this, Options());
  async::Event gone;
  std::atomic<bool> leads{false};
  const uint64_t before = gone.version();
  auto leader =
      Spawn(process.function.Call(CacheServer::As("alice"), Key("k"), [&]() -> Async<Computed> {
        leads = true;
        co_await gone.Wait(before);
        co_return absl::CancelledError("the caller is gone");
      }));
  while (!leads) std::this_thread::yield();
  auto follower = Ask(process);
  gone.Notify();
  EXPECT_TRUE(absl::IsCancelled(leader.get().status()));
  EXPECT_EQ(ValueOf(follower.get()), "answer 1");
}

TEST_F(CachedFunctionTest, ThereIsNoneIsKeptForItsTime) {
  CachedFunctionOptions options = Options();
  options.negative_ttl = absl::Seconds(5);
  Process process(*this, options);
  const auto none = [this]() -> Async<Computed> {
    ++computed_;
    co_return std::nullopt;
  };
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(ValueOf(Await(process.function.Call(CacheServer::As("alice"), Key("k"), none))),
              "none");
  }
  EXPECT_EQ(computed_, 1);
  clock_.Advance(absl::Seconds(6));
  EXPECT_EQ(ValueOf(Ask(process).get()), "answer 2");
}

// Who asks after an invalidation gets nothing that was computed before, shared flight or not.
TEST_F(CachedFunctionTest, AnInvalidationDuringAComputationHolds) {
  Process process(*this, Options());
  open_ = false;
  auto early = Ask(process);
  WaitForComputed(1);
  ASSERT_TRUE(Await(process.client.Delete(CacheServer::As("alice"), Key("k"))).ok());
  auto late = Ask(process);
  // It has joined the flight when an exchange that began later is over.
  ASSERT_TRUE(Await(process.client.Get(CacheServer::As("alice"), Key("other"))).ok());
  Open();
  EXPECT_EQ(ValueOf(early.get()), "answer 1");
  EXPECT_EQ(ValueOf(late.get()), "answer 2");
  EXPECT_EQ(ValueOf(Ask(process).get()), "answer 2") << "and the old one was not stored";
}

TEST_F(CachedFunctionTest, WhatTheCacheRefusesIsComputed) {
  Process process(*this, Options());
  const auto secret = []() -> Async<Computed> { co_return "password=letmein"; };
  EXPECT_EQ(ValueOf(Await(process.function.Call(CacheServer::As("alice"), Key("k"), secret))),
            "password=letmein");
  process.scope.Close();
  EXPECT_EQ(server_.Stats().leases_count, 0);
  cache::v1::CacheKey bad = Key("k");
  bad.set_namespace_("Not A Namespace");
  EXPECT_EQ(ValueOf(Await(process.function.Call(CacheServer::As("alice"), bad, Counting()))),
            "answer 1");
}

TEST_F(CachedFunctionTest, ACacheThatIsAwayStopsNobody) {
  Process process(*this, Options());
  server_.Shutdown();
  EXPECT_EQ(ValueOf(Ask(process).get()), "answer 1");
  EXPECT_EQ(ValueOf(Ask(process).get()), "answer 2");
}

TEST_F(CachedFunctionTest, StatedLifetimesAreSpread) {
  CachedFunctionOptions options = Options();
  options.ttl_jitter_percent = 50;
  Process process(*this, options);
  std::set<int64_t> lifetimes;
  for (int i = 0; i < 10; ++i) {
    const std::string text = std::to_string(i);
    EXPECT_TRUE(Ask(process, text).get().ok());
    const auto found = Await(process.client.Get(CacheServer::As("alice"), Key(text)));
    const int64_t left = absl::ToInt64Milliseconds((*found)->ttl_left);
    EXPECT_LE(left, 100'000);
    EXPECT_GE(left, 50'000);
    lifetimes.insert(left);
  }
  EXPECT_GT(lifetimes.size(), 5u);
}

TEST_F(CachedFunctionTest, TypedValuesAndThoseOfAnOlderVersion) {
  Process process(*this, Options());
  TypedCachedFunction<int> function({process.client, process.scope, clock_, random_}, Options(),
                                    {[](const int& n) { return std::to_string(n); },
                                     [](std::string_view text) -> absl::StatusOr<int> {
                                       if (text == "old")
                                         return absl::InvalidArgumentError("not a number");
                                       return std::stoi(std::string(text));
                                     }});
  const auto seven = [this]() -> Async<absl::StatusOr<std::optional<int>>> {
    ++computed_;
    co_return 7;
  };
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(**Await(function.Call(CacheServer::As("alice"), Key("k"), seven)), 7);
  }
  EXPECT_EQ(computed_, 1);
  ASSERT_TRUE(Await(process.client.Set(CacheServer::As("alice"), Key("k"), "old")).ok());
  EXPECT_EQ(**Await(function.Call(CacheServer::As("alice"), Key("k"), seven)), 7);
  EXPECT_EQ(computed_, 2);
}

TEST_F(CachedFunctionTest, TheClientSpeaksInBatches) {
  CacheClient client(server_.channel());
  std::vector<cache::v1::SetRequest> entries(2);
  *entries[0].mutable_key() = Key("a");
  entries[0].set_value("1");
  *entries[1].mutable_key() = Key("b");
  entries[1].set_value("password=letmein");
  const auto stored = Await(client.SetMany(CacheServer::As("alice"), entries));
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_TRUE((*stored)[0].ok());
  EXPECT_TRUE(absl::IsFailedPrecondition((*stored)[1].status()));
  const auto found = Await(client.GetMany(CacheServer::As("alice"), {Key("b"), Key("a")}));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_FALSE((*found)[0].has_value());
  EXPECT_EQ((*found)[1]->value, "1");
}

}  // namespace
}  // namespace slipstream::cache_client
