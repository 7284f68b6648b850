// What the watch remembers between looks, without a database.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "libs/timestamp/timestamp.h"
#include "services/database_optimizer/watch/alert_ledger.h"
#include "services/database_optimizer/watch/alert_rules.h"
#include "services/database_optimizer/watch/lag_clock.h"
#include "services/database_optimizer/watch/lock_chains.h"
#include "services/database_optimizer/watch/slow_log.h"
#include "services/database_optimizer/watch/statement_deltas.h"

namespace slipstream::database_optimizer {
namespace {

using Alert = v1::DatabaseAlert;
using State = AlertChange::State;

const absl::Time kNow = absl::FromUnixSeconds(1767225600);

// --- deltas

TEST(StatementDeltas, ANewMaximumIsARunOfThatTime) {
  StatementDeltas deltas(absl::Milliseconds(500));
  EXPECT_TRUE(deltas.Update({{"a", 10, 9000, 900}}).empty()) << "the first look tells nothing";
  EXPECT_TRUE(deltas.Update({{"a", 10, 9000, 900}}).empty());
  auto runs = deltas.Update({{"a", 11, 12000, 3000}, {"b", 1, 700, 700}});
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].duration, absl::Seconds(3));
  EXPECT_EQ(runs[1].fingerprint, "b");
  EXPECT_EQ(runs[1].duration, absl::Milliseconds(700));
}

TEST(StatementDeltas, SlowOnAverageSinceTheLastLook) {
  StatementDeltas deltas(absl::Milliseconds(500));
  deltas.Update({{"a", 10, 9000, 900}, {"quick", 5, 1000, 900}});
  auto runs = deltas.Update({{"a", 12, 10400, 900}, {"quick", 105, 1100, 900}});
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[0].fingerprint, "a");
  EXPECT_EQ(runs[0].duration, absl::Milliseconds(700));
}

TEST(StatementDeltas, AfterAResetEverythingIsNew) {
  StatementDeltas deltas(absl::Milliseconds(500));
  deltas.Update({{"a", 10, 9000, 900}});
  auto runs = deltas.Update({{"a", 1, 600, 600}});
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[0].duration, absl::Milliseconds(600));
}

// --- lag

TEST(LagClock, TimeSinceThePrimaryWentBeyond) {
  LagClock clock;
  clock.Add(100, absl::Seconds(0));
  clock.Add(100, absl::Seconds(5));  // the primary is idle
  clock.Add(200, absl::Seconds(10));
  clock.Add(300, absl::Seconds(12));
  EXPECT_EQ(clock.Estimate(300, absl::Seconds(20)), absl::ZeroDuration());
  EXPECT_EQ(clock.Estimate(250, absl::Seconds(20)), absl::Seconds(8));
  EXPECT_EQ(clock.Estimate(100, absl::Seconds(20)), absl::Seconds(10));
  clock.Add(290, absl::Seconds(20));  // a look that was overtaken
  EXPECT_EQ(clock.Estimate(250, absl::Seconds(20)), absl::Seconds(8));
  clock.Add(int64_t{4} << 30, absl::Seconds(21));
  clock.Add(400, absl::Seconds(22));  // another server's log
  EXPECT_EQ(clock.Estimate(400, absl::Seconds(30)), absl::ZeroDuration());
  EXPECT_EQ(clock.Estimate(399, absl::Seconds(30)), absl::Seconds(8));
}

TEST(LagClock, IsBoundedAndStillKnowsHowOldTheOldestIs) {
  LagClock clock;
  for (int i = 0; i < 80000; ++i) clock.Add(i, absl::Seconds(i));
  const absl::Duration now = absl::Seconds(80000);
  for (const int lag_s : {3, 60, 1000, 20000, 79000}) {
    const double estimate_s = absl::ToDoubleSeconds(clock.Estimate(80000 - lag_s - 1, now));
    EXPECT_LE(estimate_s, lag_s);
    EXPECT_GE(estimate_s, 0.9 * lag_s);
  }
  for (int i = 80000; i < 200000; ++i) clock.Add(i, absl::Seconds(i));
  EXPECT_GE(clock.Estimate(5, absl::Seconds(200000)), absl::Hours(22));
}

// --- locks

TEST(LockChains, TheRootOfAChainAndOfACycle) {
  const LockGraph chain = {{30, {20}}, {20, {10}}};
  EXPECT_EQ(RootOf(chain, 30), 10);
  EXPECT_EQ(RootOf(chain, 20), 10);
  EXPECT_EQ(RootOf(chain, 10), 10);
  const LockGraph cycle = {{1, {5}}, {5, {7}}, {7, {3}}, {3, {5}}};
  EXPECT_EQ(RootOf(cycle, 1), 3);
  EXPECT_EQ(RootOf({{4, {}}}, 4), 4);
}

// --- slow statements

v1::SlowQuery Slow(const std::string& fingerprint, double ms, const std::string& plan = "") {
  v1::SlowQuery out;
  out.set_fingerprint(fingerprint);
  out.set_duration_ms(ms);
  out.set_plan_json(plan);
  return out;
}

TEST(SlowLog, ARunIsOneEntryHoweverOftenItIsSeen) {
  SlowLog log(absl::Milliseconds(500), absl::Seconds(2));
  const SlowLog::RunKey run(42, 1000);
  EXPECT_FALSE(log.Knows(run));
  log.Begin(run, Slow("a", 600), 1, kNow);
  EXPECT_TRUE(log.Knows(run));
  EXPECT_EQ(log.Latest(10)[0].severity(), v1::SlowQuery::WARNING);
  log.Continue(run, absl::Milliseconds(2500), 2);
  EXPECT_TRUE(log.End("a", absl::Milliseconds(3000), 2));
  ASSERT_EQ(log.Latest(10).size(), 1u);
  EXPECT_EQ(log.Latest(10)[0].duration_ms(), 3000);
  EXPECT_EQ(log.Latest(10)[0].severity(), v1::SlowQuery::CRITICAL);
  EXPECT_EQ(log.slow_count(), 1);
  EXPECT_EQ(log.critical_count(), 1);
  EXPECT_FALSE(log.End("a", absl::Milliseconds(3000), 2)) << "that one has ended: another run";
  log.Begin({43, 1000}, Slow("a", 600), 4, kNow);
  EXPECT_FALSE(log.End("a", absl::Milliseconds(3000), 5)) << "that one was long ago";
  EXPECT_FALSE(log.End("b", absl::Milliseconds(3000), 0));
}

TEST(SlowLog, ARunThatEndedWithoutAPlanMayGetOne) {
  SlowLog log(absl::Milliseconds(500), absl::Seconds(2));
  log.Begin({42, 1000}, Slow("a", 600), 1, kNow);
  log.Begin({43, 1000}, Slow("b", 600, "[plan]"), 1, kNow);
  EXPECT_TRUE(log.EndedWithoutPlan(1).empty()) << "it goes on";
  log.Continue({42, 1000}, absl::Milliseconds(700), 2);
  EXPECT_TRUE(log.EndedWithoutPlan(2).empty());
  const auto ended = log.EndedWithoutPlan(3);
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].second.fingerprint(), "a");
  EXPECT_TRUE(log.EndedWithoutPlan(4).empty()) << "it is asked for once";
  log.AddPlan(ended[0].first, "[other]");
  EXPECT_EQ(log.RecentPlan("a", kNow), "[other]");
  EXPECT_TRUE(log.EndedWithoutPlan(3).empty());
}

TEST(SlowLog, LatestFirstAndBounded) {
  SlowLog log(absl::Milliseconds(500), absl::Seconds(2));
  for (int i = 0; i < 250; ++i) log.AddEnded(Slow(absl::StrCat(i), 600), kNow);
  EXPECT_EQ(log.Latest(1000).size(), SlowLog::kMaxEntriesCount);
  EXPECT_EQ(log.Latest(1)[0].fingerprint(), "249");
  EXPECT_EQ(log.slow_count(), 250);
}

TEST(SlowLog, PlansFitIntoAMessage) {
  SlowLog log(absl::Milliseconds(500), absl::Seconds(2));
  for (int i = 0; i < 100; ++i) log.AddEnded(Slow("a", 600, std::string(65536, 'p')), kNow);
  size_t plan_bytes = 0, missing_count = 0;
  for (const auto& query : log.Latest(100)) {
    plan_bytes += query.plan_json().size();
    missing_count += !query.plan_missing().empty();
  }
  EXPECT_EQ(plan_bytes, SlowLog::kMaxListedPlanBytes);
  EXPECT_EQ(missing_count, 84u);
  EXPECT_EQ(log.Latest(1)[0].plan_json().size(), 65536u);
}

TEST(SlowLog, APlanIsUsedAgainForAWhile) {
  SlowLog log(absl::Milliseconds(500), absl::Seconds(2));
  log.AddEnded(Slow("a", 600, "[plan]"), kNow);
  EXPECT_EQ(log.RecentPlan("a", kNow - absl::Seconds(1)), "[plan]");
  EXPECT_EQ(log.RecentPlan("a", kNow + absl::Seconds(1)), "");
  EXPECT_EQ(log.RecentPlan("b", kNow), "");
}

// --- rules

class AlertRules : public testing::Test {
 protected:
  std::vector<Alert> Alerts() { return AlertsOf(stats_, settings_, kNow); }

  WatchSettings settings_;
  v1::GetStatsResponse stats_;
};

TEST_F(AlertRules, AQuietDatabaseHasNone) {
  auto* table = stats_.add_tables();
  table->set_table("public.t");
  table->set_table_bytes(1 << 30);
  table->set_bloat_bytes(1 << 20);
  table->set_live_rows_count(1000000);
  table->set_dead_rows_count(100000);
  table->set_transactions_to_wraparound_count(2'000'000'000);
  stats_.add_replicas()->set_lag_ms(100);
  stats_.add_lock_waits()->set_waited_ms(100);
  stats_.add_held_sessions()->set_held_ms(10000);
  EXPECT_TRUE(Alerts().empty());
}

TEST_F(AlertRules, EachThresholdIsTheSettings) {
  auto* table = stats_.add_tables();
  table->set_table("public.t");
  table->set_table_bytes(settings_.bloat_alert_min_bytes);
  table->set_bloat_bytes(settings_.bloat_alert_min_bytes / 2);
  table->set_live_rows_count(7000);
  table->set_dead_rows_count(3000);
  table->set_vacuum_age_s(-1);
  table->set_transactions_to_wraparound_count(99'999'999);
  auto* replica = stats_.add_replicas();
  replica->set_name("standby");
  replica->set_lag_ms(10000);
  auto* wait = stats_.add_lock_waits();
  wait->set_object("public.t");
  wait->set_waited_ms(5000);
  wait->set_root_pid(77);
  auto* held = stats_.add_held_sessions();
  held->set_pid(12);
  held->set_held_ms(90000);
  auto* leak = stats_.mutable_pool()->add_leaks();
  leak->set_holder("ReportService.Make");
  leak->set_held_ms(91000);
  auto* slow = stats_.add_slow_queries();
  slow->set_fingerprint("00ff");
  slow->set_severity(v1::SlowQuery::CRITICAL);
  slow->set_duration_ms(3000);
  *slow->mutable_occurred_at() = timestamp::FromTime(kNow - absl::Seconds(10));
  auto* pattern = stats_.add_n_plus_one_patterns();
  pattern->set_fingerprint("00aa");
  pattern->set_repetitions_count(50);
  *pattern->mutable_last_seen_at() = timestamp::FromTime(kNow);
  std::map<std::string, Alert> by_kind;
  for (const Alert& alert : Alerts())
    by_kind[KindName(alert.kind()) + " " + alert.object()] = alert;
  ASSERT_EQ(by_kind.size(), 9u);
  EXPECT_EQ(by_kind["wraparound public.t"].severity(), Alert::CRITICAL);
  EXPECT_EQ(by_kind["bloat public.t"].severity(), Alert::WARNING);
  EXPECT_TRUE(
      absl::StrContains(by_kind["vacuum public.t"].message(), "3000 of 10000 rows are dead"));
  EXPECT_TRUE(absl::StrContains(by_kind["replica_lag standby"].message(), "10.0 s behind"));
  EXPECT_TRUE(absl::StrContains(by_kind["lock_wait public.t"].message(), "process 77"));
  EXPECT_TRUE(by_kind.contains("slow_query 00ff"));
  EXPECT_TRUE(absl::StrContains(by_kind["n_plus_one 00aa"].message(), "50 times"));
  EXPECT_TRUE(by_kind.contains("leaked_connection ReportService.Make"));
  EXPECT_TRUE(by_kind.contains("leaked_connection process 12 of an unnamed application ()"));
  EXPECT_EQ(Alerts()[0].severity(), Alert::CRITICAL) << "the worst comes first";

  // One below each threshold.
  table->set_table_bytes(settings_.bloat_alert_min_bytes - 1);
  table->set_dead_rows_count(2999);
  table->set_transactions_to_wraparound_count(500'000'000);
  replica->set_lag_ms(9999);
  wait->set_waited_ms(4999);
  held->set_held_ms(89999);
  stats_.mutable_pool()->clear_leaks();
  slow->set_severity(v1::SlowQuery::WARNING);
  *pattern->mutable_last_seen_at() = timestamp::FromTime(kNow - absl::Minutes(2));
  EXPECT_TRUE(Alerts().empty());
}

TEST_F(AlertRules, OneForEachObject) {
  for (int i = 0; i < 500; ++i) {
    auto* wait = stats_.add_lock_waits();
    wait->set_object(absl::StrCat("public.t", i % 2 == 0 ? 0 : i));
    wait->set_waited_ms(60000);
  }
  const auto alerts = Alerts();
  EXPECT_EQ(alerts.size(), kMaxAlertsCount);
  for (size_t i = 1; i < alerts.size(); ++i) EXPECT_NE(alerts[i].object(), alerts[i - 1].object());
}

// --- ledger

std::vector<Alert> Lock(Alert::Severity severity = Alert::WARNING) {
  Alert alert;
  alert.set_kind(Alert::LOCK_WAIT);
  alert.set_object("public.t");
  alert.set_severity(severity);
  return {alert};
}

TEST(AlertLedger, ToldOnceThenAgainAfterTheRepeatThenResolved) {
  AlertLedger ledger(absl::Minutes(10));
  auto changes = ledger.Update(Lock(), kNow);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].state, State::kRaised);
  EXPECT_TRUE(ledger.Update(Lock(), kNow + absl::Minutes(9)).empty());
  changes = ledger.Update(Lock(), kNow + absl::Minutes(10));
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].state, State::kRepeated);
  ASSERT_EQ(ledger.Holding().size(), 1u);
  EXPECT_EQ(timestamp::ToTime(ledger.Holding()[0].raised_at()), kNow);
  changes = ledger.Update({}, kNow + absl::Minutes(11));
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].state, State::kResolved);
  EXPECT_TRUE(ledger.Holding().empty());
  EXPECT_TRUE(ledger.Update({}, kNow + absl::Minutes(12)).empty());
}

TEST(AlertLedger, OneThatComesAndGoesIsToldOnceInAPeriod) {
  AlertLedger ledger(absl::Minutes(10));
  int told_count = 0;
  for (int minute = 0; minute < 10; ++minute) {
    told_count += static_cast<int>(
        ledger.Update(minute % 2 == 0 ? Lock() : std::vector<Alert>(), kNow + absl::Minutes(minute))
            .size());
  }
  EXPECT_EQ(told_count, 2) << "raised and resolved, once each";
  const auto changes = ledger.Update(Lock(), kNow + absl::Minutes(10));
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].state, State::kRaised);
}

TEST(AlertLedger, WorseIsToldAtOnce) {
  AlertLedger ledger(absl::Minutes(10));
  ledger.Update(Lock(), kNow);
  const auto changes = ledger.Update(Lock(Alert::CRITICAL), kNow + absl::Seconds(1));
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].alert.severity(), Alert::CRITICAL);
  EXPECT_TRUE(ledger.Update(Lock(), kNow + absl::Seconds(2)).empty()) << "better is not";
}

TEST(AlertLedger, IsBounded) {
  AlertLedger ledger(absl::Hours(10));
  for (int i = 0; i < 3000; ++i) {
    auto alerts = Lock();
    alerts[0].set_object(absl::StrCat(i));
    ledger.Update(std::move(alerts), kNow + absl::Seconds(i));
  }
  // The oldest was forgotten, so it is told again; a late one is not.
  auto first = Lock();
  first[0].set_object("0");
  auto late = Lock();
  late[0].set_object("2990");
  first.push_back(late[0]);
  const auto changes = ledger.Update(first, kNow + absl::Seconds(3001));
  int raised_count = 0;
  for (const auto& change : changes) raised_count += change.state == State::kRaised;
  EXPECT_EQ(raised_count, 1);
}

}  // namespace
}  // namespace slipstream::database_optimizer
