// The state of tables is provoked on a real PostgreSQL and seen with its table.
#include <future>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "services/database_optimizer/watch/watch_fixture.h"

namespace slipstream::database_optimizer {
namespace {

TEST_F(Watch, BloatIsEstimatedNearWhatVacuumFullGivesBack) {
  settings_.bloat_alert_percent = 50;
  Remake();
  Run("CREATE TABLE bloated (id bigint, flag bool, label text, amount numeric)");
  Run("INSERT INTO bloated SELECT i, i % 3 = 0, 'label ' || i, i * 1.5 FROM "
      "generate_series(1, 100000) i");
  Run("ANALYZE bloated");
  Look();
  const auto fresh = Stats();
  ASSERT_NE(Table(fresh, "public.bloated"), nullptr);
  EXPECT_LT(Table(fresh, "public.bloated")->bloat_bytes(),
            Table(fresh, "public.bloated")->table_bytes() / 20);
  EXPECT_EQ(sink_.Count(Alert::BLOAT, AlertChange::State::kRaised), 0);
  Run("DELETE FROM bloated WHERE id % 5 <> 0");
  Run("VACUUM ANALYZE bloated");
  const auto stats = LookUntil(
      [this](const auto&) { return sink_.Count(Alert::BLOAT, AlertChange::State::kRaised) == 1; });
  EXPECT_EQ(sink_.told.back().alert.object(), "public.bloated");
  ASSERT_NE(Table(stats, "public.bloated"), nullptr);
  const v1::TableHealth table = *Table(stats, "public.bloated");
  EXPECT_EQ(table.live_rows_count(), 20000);
  EXPECT_EQ(table.dead_rows_count(), 0);
  Run("VACUUM FULL bloated");
  auto rows = Open()->Query("SELECT pg_relation_size('bloated')");
  const int64_t given_back = table.table_bytes() - std::stoll(*(*rows)[0][0]);
  EXPECT_NEAR(static_cast<double>(table.bloat_bytes()), static_cast<double>(given_back),
              0.05 * static_cast<double>(given_back));
  LookUntil([this](const auto&) {
    return sink_.Count(Alert::BLOAT, AlertChange::State::kResolved) == 1;
  });
  Run("DROP TABLE bloated");
}

TEST_F(Watch, BloatIsNotKnownWithoutStatistics) {
  Run("CREATE TABLE unknown AS SELECT generate_series(1, 1000) i");
  const auto stats = Stats();
  ASSERT_NE(Table(stats, "public.unknown"), nullptr);
  EXPECT_EQ(Table(stats, "public.unknown")->bloat_bytes(), -1);
  ASSERT_EQ(stats.gaps_size(), 1);
  EXPECT_TRUE(absl::StrContains(stats.gaps(0), "bloat is not known of 1 of 1 tables"))
      << stats.gaps(0);
  Run("DROP TABLE unknown");
}

TEST_F(Watch, DeadRowsAndVacuumAge) {
  Run("CREATE TABLE stale AS SELECT generate_series(1, 10000) i");
  Run("VACUUM ANALYZE stale");
  Run("DELETE FROM stale WHERE i <= 6000");
  const auto stats = LookUntil(
      [this](const auto&) { return sink_.Count(Alert::VACUUM, AlertChange::State::kRaised) == 1; });
  ASSERT_NE(Table(stats, "public.stale"), nullptr);
  EXPECT_EQ(Table(stats, "public.stale")->dead_rows_count(), 6000);
  EXPECT_GE(Table(stats, "public.stale")->vacuum_age_s(), 0);
  EXPECT_LE(Table(stats, "public.stale")->vacuum_age_s(), 60);
  for (const auto& change : sink_.told) {
    if (change.alert.kind() == Alert::VACUUM) EXPECT_EQ(change.alert.object(), "public.stale");
  }
  Run("VACUUM stale");
  LookUntil([this](const auto&) {
    return sink_.Count(Alert::VACUUM, AlertChange::State::kResolved) == 1;
  });
  Run("DROP TABLE stale");
}

TEST_F(Watch, TransactionsAreCountedDown) {
  Run("CREATE TABLE aging (i int)");
  const auto before = *Table(Stats(), "public.aging");
  // Each block with an exception handler that writes takes a transaction id of its own.
  Run("DO $$ BEGIN FOR i IN 1..5000 LOOP BEGIN INSERT INTO aging VALUES (i); "
      "EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$");
  const auto after = *Table(Stats(), "public.aging");
  EXPECT_GE(before.transactions_left_count() - after.transactions_left_count(), 5000);
  EXPECT_GE(before.transactions_to_wraparound_count() - after.transactions_to_wraparound_count(),
            5000);
  Run("DROP TABLE aging");
}

TEST_F(Watch, AUserWithFewRightsGetsTheRestAndIsToldWhatIsMissing) {
  Run("CREATE ROLE watcher LOGIN");
  Run("CREATE TABLE hidden AS SELECT generate_series(1, 100) i");
  Run("ANALYZE hidden");
  auto options = ClientOptions();
  options.connection.url =
      absl::StrCat("postgresql://watcher@127.0.0.1:", server_->port(), "/postgres");
  postgres::Client client(options);
  PostgresStatsSource source({client, *loop_, settings_, nullptr});
  auto read = [&] {
    return Await<absl::StatusOr<v1::GetStatsResponse>>(
        [&] { return source.Read(20, absl::Seconds(8)); });
  };
  auto stats = read();
  ASSERT_TRUE(stats.ok()) << stats.status();
  std::string gaps = absl::StrCat(stats->gaps_size());
  for (const auto& gap : stats->gaps()) absl::StrAppend(&gaps, "\n", gap);
  EXPECT_TRUE(absl::StrContains(gaps, "GRANT pg_monitor")) << gaps;
  EXPECT_TRUE(absl::StrContains(gaps, "bloat is not known")) << gaps;
  Run("GRANT pg_monitor, pg_read_all_data TO watcher");
  stats = read();
  ASSERT_TRUE(stats.ok()) << stats.status();
  EXPECT_EQ(stats->gaps_size(), 0) << stats->ShortDebugString();
  client.Stop();
  Run("DROP TABLE hidden");
  Run("DROP ROLE watcher");
}

}  // namespace
}  // namespace slipstream::database_optimizer
