// The watch while PostgreSQL or the notification service is away, and its replicas.
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "services/database_optimizer/watch/statement_parse.h"
#include "services/database_optimizer/watch/watch_fixture.h"

namespace slipstream::database_optimizer {
namespace {

TEST_F(Watch, PostgresAwayIsToldAndBackIsBack) {
  Look();
  auto leaker = Open();
  Run(*leaker, "BEGIN");
  Run(*leaker, "SELECT 1");
  settings_.slow_critical = absl::Milliseconds(60);
  Remake();
  LookUntil([](const auto& s) { return s.alerts_size() == 1; });
  server_->Kill();
  Look();
  EXPECT_EQ(sink_.Count(Alert::UNREACHABLE, AlertChange::State::kRaised), 0);
  Look();
  EXPECT_EQ(sink_.Count(Alert::UNREACHABLE, AlertChange::State::kRaised), 1);
  EXPECT_EQ(sink_.Count(Alert::LEAKED_CONNECTION, AlertChange::State::kResolved), 0)
      << "nothing is known of it";
  ASSERT_TRUE(server_->Restart().ok());
  Look();
  EXPECT_EQ(sink_.Count(Alert::UNREACHABLE, AlertChange::State::kResolved), 1);
  EXPECT_EQ(sink_.Count(Alert::LEAKED_CONNECTION, AlertChange::State::kResolved), 1);
}

TEST_F(Watch, WhatCouldNotBeToldIsToldLater) {
  sink_.away = true;
  for (int i = 0; i < 30; ++i) {
    observed_.Observe("t1", Fingerprint("SELECT 1"), "SELECT 1", absl::Milliseconds(1), "x");
  }
  Look();
  Look();
  EXPECT_TRUE(sink_.told.empty());
  EXPECT_EQ(metrics::ValueOf(metrics_, "slipstream_database_optimizer_alert_failures_total"), 2);
  sink_.away = false;
  Look();
  EXPECT_EQ(sink_.Count(Alert::N_PLUS_ONE, AlertChange::State::kRaised), 1);
  Look();
  EXPECT_EQ(sink_.told.size(), 1u);
}

TEST_F(Watch, TheLoopEndsWhenAskedAndWaitsItsInterval) {
  settings_.interval = absl::Hours(1);
  Remake();
  async::Scope scope(runtime_.executor());
  scope.Spawn([&] { return loop_->Run(scope); });
  const absl::Time deadline = absl::Now() + kPatience;
  while (Stats().examined().looks_count() == 0 && absl::Now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_EQ(Stats().examined().looks_count(), 1);
  scope.Close();
  settings_.interval = absl::Milliseconds(50);
  Remake();
  EXPECT_GE(Look(), absl::Milliseconds(50));
  EXPECT_LE(Look(), absl::Minutes(1));
}

TEST_F(Watch, AReplicaThatReplaysNothingIsBehindAndIsTold) {
  settings_.replica_lag_alert = absl::Seconds(2);
  Remake();
  auto replica = server_->StartReplica();
  ASSERT_TRUE(replica.ok()) << replica.status();
  const std::string name = absl::StrCat("replica_", (*replica)->port());
  Run("CREATE TABLE written (i int)");
  auto stats = LookUntil(
      [&](const auto& s) { return s.replicas_size() == 1 && s.replicas(0).lag_bytes() == 0; });
  EXPECT_EQ(stats.replicas(0).name(), name);
  EXPECT_EQ(stats.replicas(0).lag_ms(), 0);
  EXPECT_EQ(stats.examined().replicas_count(), 1);
  EXPECT_EQ(sink_.Count(Alert::REPLICA_LAG, AlertChange::State::kRaised), 0);

  ASSERT_TRUE((*replica)->Sql("SELECT pg_wal_replay_pause()").ok());
  Run("INSERT INTO written SELECT generate_series(1, 50000)");
  stats = LookUntil([&](const auto&) {
    return sink_.Count(Alert::REPLICA_LAG, AlertChange::State::kRaised) == 1;
  });
  ASSERT_EQ(stats.replicas_size(), 1);
  EXPECT_EQ(stats.replicas(0).name(), name);
  EXPECT_GE(stats.replicas(0).lag_ms(), 2000);
  EXPECT_GT(stats.replicas(0).lag_bytes(), 1000000);
  EXPECT_EQ(sink_.told.back().alert.object(), name);

  ASSERT_TRUE((*replica)->Sql("SELECT pg_wal_replay_resume()").ok());
  stats = LookUntil([&](const auto&) {
    return sink_.Count(Alert::REPLICA_LAG, AlertChange::State::kResolved) == 1;
  });
  EXPECT_EQ(stats.replicas(0).lag_bytes(), 0) << stats.ShortDebugString();

  // One that says nothing any more: its last word on its lag stands still.
  (*replica)->Pause();
  Run("INSERT INTO written SELECT generate_series(1, 1000)");
  stats = LookUntil([&](const auto& s) { return s.replicas(0).lag_ms() > 0; });
  const int64_t first_ms = stats.replicas(0).lag_ms();
  LookUntil([&](const auto& s) { return s.replicas(0).lag_ms() >= first_ms + 300; });
  (*replica)->Resume();
  (*replica).reset();
  LookUntil([](const auto& s) { return s.replicas_size() == 0; });
  Run("DROP TABLE written");
}

}  // namespace
}  // namespace slipstream::database_optimizer
