// The pool's parts that need no server: queue, breaker, lag, URLs, log positions.
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>

#include "gtest/gtest.h"
#include "libs/postgres/circuit_breaker.h"
#include "libs/postgres/conn_info.h"
#include "libs/postgres/connection.h"
#include "libs/postgres/ended_requests.h"
#include "libs/postgres/replica_lag.h"
#include "libs/postgres/type_names.h"
#include "libs/postgres/wait_queue.h"
#include "libs/status/status.h"

namespace slipstream::postgres {
namespace {

using std::chrono::milliseconds;
using TimePoint = std::chrono::steady_clock::time_point;

constexpr TimePoint At(int ms) { return TimePoint{} + std::chrono::hours(1) + milliseconds(ms); }

struct TestWaiter final : Waiter {
  explicit TestWaiter(int n) : number(n) {}
  void OnGranted(Link&) override {}
  void OnRefused(absl::Status) override {}
  std::shared_ptr<const Caller> caller() const override { return nullptr; }
  int number;
};

std::shared_ptr<TestWaiter> Waiting(int number, TimePoint queued_at, TimePoint deadline) {
  auto out = std::make_shared<TestWaiter>(number);
  out->queued_at = queued_at;
  out->deadline = deadline;
  return out;
}

int NumberOf(const std::shared_ptr<Waiter>& waiter) {
  return static_cast<const TestWaiter&>(*waiter).number;
}

TEST(WaitQueueTest, FirstInFirstOutAlsoAfterSomeHaveGone) {
  WaitQueue queue(5);
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(queue.Push(Waiting(i, At(i), At(i % 2 == 0 ? 100 : 50))));
  }
  EXPECT_FALSE(queue.Push(Waiting(5, At(5), At(100))));
  const auto expired = queue.TakeExpired(At(60));
  ASSERT_EQ(expired.size(), 2u);
  EXPECT_EQ(NumberOf(expired[0]), 1);
  EXPECT_EQ(NumberOf(expired[1]), 3);
  EXPECT_EQ(NumberOf(queue.Pop()), 0);
  EXPECT_TRUE(queue.Push(Waiting(6, At(6), At(100))));
  const auto early = queue.TakeQueuedUntil(At(2));
  ASSERT_EQ(early.size(), 1u);
  EXPECT_EQ(NumberOf(early[0]), 2);
  EXPECT_EQ(NumberOf(queue.Pop()), 4);
  EXPECT_EQ(NumberOf(queue.Pop()), 6);
  EXPECT_TRUE(queue.empty());
}

class EndedRequestsTest : public testing::Test {
 protected:
  void Add() {
    ended_.Add(executor_, async::Resume<bool>::From([this](bool) { ++told_count_; }, executor_));
  }
  // How many callers heard of it, and of how many posts that took.
  int ToldBy(TimePoint now, bool may_hold) {
    told_count_ = 0;
    holds_ = ended_.Tell(now, may_hold);
    posts_count_ = static_cast<int>(context_.poll());
    context_.restart();
    return told_count_;
  }

  boost::asio::io_context context_;
  const Executor executor_ = context_.get_executor();
  EndedRequests ended_;
  int told_count_ = 0, posts_count_ = 0;
  bool holds_ = false;
};

TEST_F(EndedRequestsTest, WhileNobodyWaitsEachIsToldAtOnce) {
  EXPECT_EQ(ToldBy(At(0), false), 0);
  Add();
  EXPECT_EQ(ToldBy(At(0), false), 1);
  EXPECT_FALSE(holds_);
  Add();
  Add();
  EXPECT_EQ(ToldBy(At(0), false), 2);
  EXPECT_EQ(posts_count_, 1);
  EXPECT_EQ(ToldBy(At(0), false), 0);
}

TEST_F(EndedRequestsTest, OthersThatWaitHoldThemBackForAMomentOnly) {
  const auto us = [](int count) { return At(0) + std::chrono::microseconds(count); };
  Add();
  EXPECT_EQ(ToldBy(us(0), true), 0);
  EXPECT_TRUE(holds_);
  Add();
  EXPECT_EQ(ToldBy(us(499), true), 0);
  EXPECT_EQ(ToldBy(us(500), true), 2);
  EXPECT_EQ(posts_count_, 1);
  EXPECT_FALSE(holds_);
  // The time counts from the first that is held now.
  Add();
  EXPECT_EQ(ToldBy(us(600), true), 0);
  EXPECT_EQ(ToldBy(us(1099), true), 0);
  EXPECT_EQ(ToldBy(us(1100), true), 1);
  for (size_t i = 0; i < EndedRequests::kMaxCount - 1; ++i) Add();
  EXPECT_EQ(ToldBy(us(1200), true), 0);
  Add();
  EXPECT_EQ(ToldBy(us(1200), true), static_cast<int>(EndedRequests::kMaxCount));
  EXPECT_EQ(posts_count_, 1);
}

TEST_F(EndedRequestsTest, EachIsToldOnItsOwnExecutor) {
  boost::asio::io_context other;
  const Executor there = other.get_executor();
  int told_there_count = 0;
  Add();
  ended_.Add(there, async::Resume<bool>::From([&](bool) { ++told_there_count; }, there));
  Add();
  EXPECT_EQ(ToldBy(At(0), false), 2);
  EXPECT_EQ(told_there_count, 0);
  other.poll();
  EXPECT_EQ(told_there_count, 1);
}

TEST(CircuitBreakerTest, OpensAfterFailuresInARowAndTriesOnce) {
  CircuitBreaker breaker(3, milliseconds(1000));
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(breaker.Allow(At(0)));
    breaker.OnFailure(At(0));
  }
  breaker.OnSuccess();  // not in a row
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(breaker.Allow(At(0))) << i;
    breaker.OnFailure(At(0));
  }
  EXPECT_EQ(breaker.state(), CircuitState::kOpen);
  EXPECT_FALSE(breaker.Allow(At(999)));
  EXPECT_TRUE(breaker.Allow(At(1000)));
  EXPECT_EQ(breaker.state(), CircuitState::kHalfOpen);
  EXPECT_FALSE(breaker.Allow(At(1000)));  // one decides
  breaker.OnFailure(At(1100));
  EXPECT_FALSE(breaker.Allow(At(2099)));
  EXPECT_TRUE(breaker.Allow(At(2100)));
  breaker.OnSuccess();
  EXPECT_EQ(breaker.state(), CircuitState::kClosed);
  EXPECT_TRUE(breaker.Allow(At(2100)));
  EXPECT_TRUE(breaker.Allow(At(2100)));
}

TEST(CircuitBreakerTest, AttemptsThatHadBegunDoNotKeepItOpen) {
  CircuitBreaker breaker(1, milliseconds(1000));
  ASSERT_TRUE(breaker.Allow(At(0)));
  ASSERT_TRUE(breaker.Allow(At(0)));
  breaker.OnFailure(At(0));
  breaker.OnFailure(At(900));
  EXPECT_TRUE(breaker.Allow(At(1000)));
}

TEST(ReplicaLagTest, AsOldAsTheFirstThingItLacks) {
  ReplicaLag lag;
  EXPECT_EQ(lag.Of({5}, At(0)).bytes, 0);  // nothing is known
  lag.OnPrimary(At(0), {100});
  lag.OnPrimary(At(250), {100});
  lag.OnPrimary(At(500), {200});
  lag.OnPrimary(At(750), {300});
  EXPECT_EQ(lag.Of({300}, At(5000)).time, milliseconds(0));  // idle since
  EXPECT_EQ(lag.Of({400}, At(5000)).bytes, 0);
  EXPECT_EQ(lag.Of({250}, At(1000)).time, milliseconds(250));
  EXPECT_EQ(lag.Of({250}, At(1000)).bytes, 50);
  EXPECT_EQ(lag.Of({100}, At(1000)).time, milliseconds(500));
  EXPECT_EQ(lag.Of({50}, At(1000)).time, milliseconds(1000));
  // Another primary, whose log is shorter.
  lag.OnPrimary(At(2000), {150});
  EXPECT_EQ(lag.Of({150}, At(2000)).bytes, 0);
}

TEST(WalPositionTest, ReadsWhatPostgresWrites) {
  EXPECT_EQ(ParseWalPosition("16/B374D848"), (WalPosition{0x16B374D848}));
  EXPECT_EQ(ParseWalPosition("0/0"), WalPosition{});
  EXPECT_LT(*ParseWalPosition("1/FFFFFFFF"), *ParseWalPosition("2/0"));
  for (const char* bad : {"", "/", "1", "1/", "/1", "g/0", "1/123456789", "-1/0", "1/2/3"}) {
    EXPECT_FALSE(ParseWalPosition(bad).has_value()) << bad;
  }
}

TEST(ConnInfoTest, SeveralHosts) {
  auto info = ParseConnInfo("postgresql://u:p@a:1,b:2/db?application_name=mine", "ours");
  ASSERT_TRUE(info.ok()) << info.status();
  ASSERT_EQ(info->hosts.size(), 2u);
  EXPECT_EQ(NameOf(info->hosts[0]), "a:1");
  EXPECT_EQ(NameOf(info->hosts[1]), "b:2");
  EXPECT_EQ(info->wanted, WantedServer::kReadWrite);
  EXPECT_EQ(info->shared.at("application_name"), "mine");
  EXPECT_FALSE(info->shared.contains("host"));
  EXPECT_EQ(ParseConnInfo("postgresql://a,b/db?target_session_attrs=any", "x")->wanted,
            WantedServer::kAny);
  EXPECT_EQ(ParseConnInfo("postgresql://a/db", "x")->wanted, WantedServer::kAny);
  EXPECT_EQ(ParseConnInfo("postgresql://a/db?target_session_attrs=primary", "x")->wanted,
            WantedServer::kPrimary);
  EXPECT_EQ(status::Reason(
                ParseConnInfo("postgresql://a/db?target_session_attrs=nonsense", "x").status()),
            kUrlInvalid);
}

TEST(TypeNamesTest, BuiltInOnes) {
  EXPECT_EQ(BuiltInTypeName(kInt8Oid), "int8");
  EXPECT_EQ(BuiltInTypeName(kBoolOid), "bool");
  EXPECT_EQ(BuiltInTypeName(kNumericOid), "numeric");
  EXPECT_EQ(BuiltInTypeName(999999), "");
}

}  // namespace
}  // namespace slipstream::postgres
