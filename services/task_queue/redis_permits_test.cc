// What keeps the permits of types with limits right when servers die, stand still or see a session
// move between them, and that one session which can't be ended keeps nothing from the others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libs/async/runtime.h"
#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/random/random.h"
#include "libs/redis/client.h"
#include "services/task_queue/contract/await.h"
#include "services/task_queue/redis_scripts.h"
#include "services/task_queue/redis_task_store.h"
#include "tests/harness/redis_server.h"

namespace slipstream::task_queue {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr char kPrefix[] = "slipstream{0}:";
constexpr char kClockStep[] = "86400000";

class RedisPermitsTest : public testing::Test {
 protected:
  RedisPermitsTest()
      : server_(*tests::RedisServer::Start()),
        client_(*redis::Client::Create({runtime_.executor(), random_, logging::Logger()},
                                       {.url = server_->url()})),
        store_(*client_, Options()) {}

  static RedisTaskStoreOptions Options() {
    RedisTaskStoreOptions options;
    options.session_clock_step = absl::Hours(24);  // time is moved by hand
    options.server_id = "test";
    return options;
  }

  std::string Submit(absl::Duration delay = absl::ZeroDuration()) {
    NewTask task;
    task.task_id = store_.MakeTaskId(random::Uuid7(clock_, random_), "alice", "");
    task.task_type = "echo";
    task.args = MakeBytes("args");
    task.owner = "alice";
    task.max_attempts = 3;
    if (delay > absl::ZeroDuration()) task.run_at = now_ + delay;
    const auto submitted = Await(store_.SubmitBatch({&task, 1}, false, now_));
    EXPECT_TRUE(submitted.ok() && (*submitted)[0].ok());
    return task.task_id;
  }
  void Open(const std::string& session) {
    const SessionLease lease{session, now_ + absl::Seconds(15), "worker"};
    ASSERT_TRUE(Await(store_.OpenSession(lease, now_)).ok());
  }
  std::vector<LeaseKey> Lease(const std::string& session, int max = 1) {
    const std::vector<LeaseType> types = {{"echo", 1, 0}};
    const auto leased = Await(store_.LeaseBatch(session, types, max, now_));
    EXPECT_TRUE(leased.ok()) << leased.status();
    std::vector<LeaseKey> keys;
    for (const TaskRecord& task : *leased) {
      keys.push_back({task.task_id, task.session_id, task.lease_epoch});
    }
    return keys;
  }
  void Succeed(const LeaseKey& lease) {
    const FinishRequest request{lease, task_state::Success{MakeBytes("result"), {}, {}}};
    EXPECT_TRUE(Await(store_.FinishBatch({&request, 1}, now_)).value()[0].status.ok());
  }
  TaskStatus StatusOf(const std::string& id) { return Await(store_.Get(id)).value().status; }

  redis::Value Ask(std::vector<std::string> args) {
    return Await(client_->Command(kPrefix, std::move(args))).value();
  }
  redis::Value Eval(const redis::Script& script, std::vector<std::string> args) {
    return Await(client_->Eval(script, {kPrefix}, std::move(args))).value();
  }
  static std::string Key(const std::string& suffix) { return kPrefix + suffix; }
  std::string Millis() const { return std::to_string(absl::ToUnixMillis(now_)); }
  std::string Running() { return Ask({"HGET", Key("pt"), "echo"}).text; }

  absl::Time now_ = absl::FromUnixSeconds(1767225600);
  clock::SystemClock clock_;  // for ids alone
  random::SystemRandom random_;
  async::Runtime runtime_{1};
  std::unique_ptr<tests::RedisServer> server_;
  std::unique_ptr<redis::Client> client_;
  RedisTaskStore store_;
};

// Another server took a session's permit for unused just before the lease that it was for was made.
TEST_F(RedisPermitsTest, APermitThatWasTakenFromALeaseIsNotGivenBackTwice) {
  for (int i = 0; i < 3; ++i) Submit();
  Open("s1");
  Open("s2");
  const std::vector<LeaseKey> first = Lease("s1");
  ASSERT_THAT(first, SizeIs(1));
  Ask({"HSET", Key("pm:s1"), "echo", "0"});
  Ask({"HSET", Key("pt"), "echo", "0"});
  const std::vector<LeaseKey> second = Lease("s2");
  ASSERT_THAT(second, SizeIs(1));
  Succeed(first[0]);
  EXPECT_EQ(Running(), "1") << "the permit of s2";
  EXPECT_THAT(Lease("s1"), IsEmpty());
  Succeed(second[0]);
  EXPECT_EQ(Running(), "0");
  EXPECT_THAT(Lease("s1"), SizeIs(1));
}

// Whether it was done is not known when the call that leases fails.
TEST_F(RedisPermitsTest, ALeaseOfUnknownOutcomeKeepsItsPermitUntilSomebodyLooks) {
  Submit();
  Open("s1");
  Ask({"RENAME", Key("r:echo"), Key("kept")});
  Ask({"SET", Key("r:echo"), "not a ring"});
  const std::vector<LeaseType> types = {{"echo", 1, 0}};
  EXPECT_FALSE(Await(store_.LeaseBatch("s1", types, 1, now_)).ok());
  EXPECT_EQ(Running(), "1");
  Ask({"RENAME", Key("kept"), Key("r:echo")});
  ASSERT_TRUE(Await(store_.FindSession("s1", now_)).ok());
  EXPECT_EQ(Running(), "0");
  EXPECT_THAT(Lease("s1"), SizeIs(1));
}

// A server took a permit and stood still; the session's worker went to another one, which found the
// permit unused. What the first server does next, it does in vain.
TEST_F(RedisPermitsTest, AServerThatStoodStillCanNotLeaseByPermitsThatWereTakenBack) {
  Submit();
  Open("s1");
  const redis::Value given =
      Eval(redis_scripts::Permits(), {"s1", Millis(), kClockStep, "", "echo", "1", "1", "0"});
  ASSERT_EQ(given.size(), 2u);
  ASSERT_EQ(given[1].integer, 1);
  ASSERT_TRUE(Await(store_.FindSession("s1", now_)).ok());
  EXPECT_EQ(Running(), "0") << "nobody had a lease by it";

  const std::vector<LeaseKey> leased = Lease("s1");
  ASSERT_THAT(leased, SizeIs(1));
  const redis::Value reserved =
      Eval(redis_scripts::Reserve(),
           {"s1", "1", Millis(), "30000", "1000", std::string(1, '\1'), given[0].text, "echo"});
  EXPECT_EQ(reserved.text, "PERMITS");
  const redis::Value back = Eval(redis_scripts::Permits(), {"s1", Millis(), kClockStep,
                                                            given[0].text, "echo", "-1", "1", "0"});
  EXPECT_EQ(back[1].integer, 0) << "the one that is held now is another";
  EXPECT_EQ(Running(), "1");
}

// The other way round: it leases while the second server looks what the session holds.
TEST_F(RedisPermitsTest, NothingIsTakenBackWhileALeaseIsBeingMade) {
  Submit();
  Open("s1");
  const std::string before = Ask({"HGET", Key("pm:s1"), "#moves"}).text;
  ASSERT_THAT(Lease("s1"), SizeIs(1));
  const redis::Value taken = Eval(redis_scripts::TakeBack(), {"s1", before, "echo", "1", "1"});
  EXPECT_EQ(taken.integer, 0);
  EXPECT_EQ(Running(), "1");
}

TEST_F(RedisPermitsTest, ASessionWhosePermitsAreWrongEndsAllTheSame) {
  const std::string later = Submit(absl::Seconds(1));
  Open("s1");
  Ask({"HSET", Key("pm:s1"), "echo", "-1", "other", "no number"});
  now_ += absl::Minutes(1);
  const auto swept = Await(store_.Sweep(now_, 100, 0.5));
  ASSERT_TRUE(swept.ok()) << swept.status();
  EXPECT_TRUE(swept->failure.ok()) << swept->failure;
  EXPECT_EQ(StatusOf(later), TaskStatus::kPending);
  EXPECT_TRUE(Ask({"ZSCORE", Key("s"), "s1"}).is_nil());
  EXPECT_EQ(Ask({"EXISTS", Key("pm:s1")}).integer, 0);
}

// A server stood still for longer than a session lives, and goes on where it was.
TEST_F(RedisPermitsTest, ASessionThatHasEndedTakesNoPermits) {
  Submit();
  Open("s1");
  Open("s2");
  const std::vector<LeaseType> types = {{"echo", 1, 0}};
  now_ += absl::Seconds(16);
  EXPECT_TRUE(absl::IsNotFound(Await(store_.LeaseBatch("s1", types, 1, now_)).status()));
  ASSERT_TRUE(Await(store_.Sweep(now_, 100, 0.5)).ok());
  EXPECT_TRUE(absl::IsNotFound(Await(store_.LeaseBatch("s1", types, 1, now_)).status()));
  EXPECT_TRUE(absl::IsNotFound(Await(store_.LeaseBatch("s2", types, 1, now_)).status()));
  EXPECT_EQ(Running(), "");
  EXPECT_EQ(Ask({"EXISTS", Key("pm:s1"), Key("pm:s2")}).integer, 0);
  Open("s3");
  EXPECT_THAT(Lease("s3"), SizeIs(1)) << "the one permit there is";
}

TEST_F(RedisPermitsTest, OneThatCanNotBeSweptKeepsTimeFromNoOther) {
  const std::string broken = Submit(absl::Seconds(1));
  const std::string sound = Submit(absl::Seconds(2));
  Ask({"SET", Key("t:" + redis_codec::PackId(broken)), "garbage"});
  now_ += absl::Minutes(1);
  const auto swept = Await(store_.Sweep(now_, 100, 0.5));
  ASSERT_TRUE(swept.ok()) << swept.status();
  EXPECT_TRUE(absl::IsDataLoss(swept->failure)) << swept->failure;
  EXPECT_EQ(StatusOf(sound), TaskStatus::kPending);
}

}  // namespace
}  // namespace slipstream::task_queue
