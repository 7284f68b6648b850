// Against a real PostgreSQL.
#include "services/database_optimizer/recommendations/recommendation_store.h"

#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "libs/status/status.h"
#include "services/database_optimizer/recommendations/own_tables.h"
#include "tests/harness/postgres_server.h"

namespace slipstream::database_optimizer {
namespace {

using v1::Recommendation;

class RecommendationStoreTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto server = tests::PostgresServer::Start();
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = server->release();
  }
  static void TearDownTestSuite() { delete server_; }
  void SetUp() override {
    auto connection =
        postgres::Connection::Open({.url = server_->url(), .statement_timeout = absl::Minutes(2)});
    ASSERT_TRUE(connection.ok()) << connection.status();
    connection_ = *std::move(connection);
    Run("DROP SCHEMA IF EXISTS slipstream CASCADE");
    ASSERT_TRUE(EnsureOwnTables(*connection_).ok());
    store_ = std::make_unique<RecommendationStore>(*connection_, clock_, random_);
  }
  postgres::Rows Run(const std::string& sql) {
    auto rows = connection_->Query(sql);
    EXPECT_TRUE(rows.ok()) << sql << ": " << rows.status();
    return rows.ok() ? *rows : postgres::Rows();
  }
  static Proposal Make(const std::string& name, double gain,
                       const std::string& table = "public.t") {
    Proposal out;
    out.object = "public." + name;
    out.index_schema = "public";
    out.index_name = name;
    out.gain_percent = gain;
    out.recommendation.set_kind(Recommendation::CREATE_INDEX);
    out.recommendation.set_table(table);
    out.recommendation.add_apply_statements("CREATE INDEX CONCURRENTLY x");
    out.recommendation.mutable_evidence()->add_queries()->set_plan_before_json("[{\"a\": \"'\"}]");
    out.recommendation.mutable_evidence()->mutable_queries(0)->set_statement("SELECT '\\' \"$1\"");
    return out;
  }

  static tests::PostgresServer* server_;
  clock::SystemClock clock_;
  random::SystemRandom random_;
  std::unique_ptr<postgres::Connection> connection_;
  std::unique_ptr<RecommendationStore> store_;
};

tests::PostgresServer* RecommendationStoreTest::server_ = nullptr;

TEST_F(RecommendationStoreTest, MigrationsRunOnceAndExpandLater) {
  ASSERT_TRUE(EnsureOwnTables(*connection_).ok());
  EXPECT_EQ(Run("SELECT 1 FROM slipstream.migrations").size(), OwnMigrations().size());
  auto more = OwnMigrations();
  more.push_back({3,
                  "a column",
                  {"ALTER TABLE slipstream.changes ADD COLUMN later int",
                   "CREATE TABLE slipstream.broken (a nonsense)"}});
  const absl::Status refused = postgres::Migrate(*connection_, "slipstream", more);
  EXPECT_EQ(status::Reason(refused), postgres::kMigrationRefused) << refused;
  EXPECT_TRUE(Run("SELECT 1 FROM pg_attribute WHERE attname = 'later'").empty())
      << "half of a step stayed";
  more.back().statements.pop_back();
  EXPECT_TRUE(postgres::Migrate(*connection_, "slipstream", more).ok());
  EXPECT_TRUE(EnsureOwnTables(*connection_).ok()) << "a newer schema is fine";
}

TEST_F(RecommendationStoreTest, AUserWithoutTheRightHearsWhichOne) {
  Run("DROP SCHEMA slipstream CASCADE");
  Run("CREATE ROLE looker LOGIN");
  auto looker = postgres::Connection::Open(
      {.url = absl::StrCat("postgresql://looker@127.0.0.1:", server_->port(), "/postgres")});
  ASSERT_TRUE(looker.ok());
  const absl::Status refused = EnsureOwnTables(**looker);
  EXPECT_EQ(status::Reason(refused), postgres::kMigrationRefused);
  EXPECT_TRUE(absl::StrContains(std::string(refused.message()), "GRANT CREATE ON DATABASE"));
  looker->reset();
  Run("DROP ROLE looker");
}

TEST_F(RecommendationStoreTest, AProposalKeepsItsIdAndGoesWhenItIsNotFoundAgain) {
  auto first = store_->Propose({Make("a", 5), Make("b", 9)}, {});
  ASSERT_TRUE(first.ok()) << first.status();
  auto second = store_->Propose({Make("a", 7)}, {});
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ((*second)[0].recommendation_id(), (*first)[0].recommendation_id());
  auto kept = store_->Get((*first)[0].recommendation_id());
  ASSERT_TRUE(kept.ok());
  EXPECT_EQ(kept->gain, 7);
  EXPECT_EQ(kept->recommendation.evidence().queries(0).statement(), "SELECT '\\' \"$1\"");
  EXPECT_EQ(kept->recommendation.evidence().queries(0).plan_before_json(), "[{\"a\": \"'\"}]");
  EXPECT_EQ(status::Reason(store_->Get((*first)[1].recommendation_id()).status()),
            kRecommendationNotFound);
  // A search in some tables says nothing of the others.
  ASSERT_TRUE(store_->Propose({Make("c", 1, "public.u")}, {"u"}).ok());
  EXPECT_TRUE(store_->Get((*first)[0].recommendation_id()).ok());
}

TEST_F(RecommendationStoreTest, PagesByGainWithFiltersAndWithoutPlans) {
  std::vector<Proposal> proposals;
  for (int i = 0; i < 25; ++i) proposals.push_back(Make(absl::StrCat("i", i), i / 5));
  auto stored = store_->Propose(proposals, {});
  ASSERT_TRUE(stored.ok()) << stored.status();
  std::set<std::string> seen;
  std::optional<RecommendationStore::Position> after;
  double last = 1e9;
  for (int page = 0; page < 9; ++page) {
    auto found = store_->List(Recommendation::PROPOSED, Recommendation::CREATE_INDEX, after, 7);
    ASSERT_TRUE(found.ok()) << found.status();
    if (found->empty()) break;
    for (const auto& one : *found) {
      EXPECT_LE(one.gain, last);
      last = one.gain;
      EXPECT_TRUE(seen.insert(one.recommendation.recommendation_id()).second);
      EXPECT_EQ(one.recommendation.evidence().queries(0).plan_before_json(), "");
      after = {one.gain, one.recommendation.recommendation_id()};
    }
  }
  EXPECT_EQ(seen.size(), 25u);
  EXPECT_TRUE(store_->List(Recommendation::VERIFIED, {}, {}, 7)->empty());
  EXPECT_TRUE(store_->List({}, Recommendation::ANALYZE_TABLE, {}, 7)->empty());
}

TEST_F(RecommendationStoreTest, AChangeIsBegunOnceAndNotOverwritten) {
  const std::string id = (*store_->Propose({Make("a", 5)}, {}))[0].recommendation_id();
  const auto begin = [&] {
    return store_->BeginChange(id, Recommendation::PROPOSED, Recommendation::APPLYING, Step::kBuild,
                               true, "somebody", 4096);
  };
  ASSERT_TRUE(begin().ok());
  EXPECT_EQ(status::Reason(begin().status()), kRecommendationChanged);
  auto changes = store_->OpenChanges();
  ASSERT_EQ(changes->size(), 1u);
  Change change = (*changes)[0];
  EXPECT_EQ(change.requested_by, "somebody");
  EXPECT_TRUE(change.automatic);
  auto stored = store_->Get(id);
  change.step = Step::kVerify;
  stored->recommendation.set_status(Recommendation::VERIFYING);
  ASSERT_TRUE(store_->Advance(change, stored->recommendation, false).ok());
  EXPECT_EQ(store_->Automatic(absl::Now() - absl::Hours(1))->bytes, 4096);
  EXPECT_EQ(store_->Automatic(absl::Now() + absl::Hours(1))->changes_count, 0);
  // Somebody takes it back while the runner still believes that it verifies.
  ASSERT_TRUE(store_->TurnBack(id, "admin").ok());
  stored->recommendation.set_status(Recommendation::VERIFIED);
  EXPECT_EQ(status::Reason(store_->Advance(change, stored->recommendation, true)),
            kRecommendationChanged);
  EXPECT_EQ(store_->Get(id)->recommendation.status(), Recommendation::REVERTING);
  changes = store_->OpenChanges();
  EXPECT_EQ((*changes)[0].step, Step::kRevert);
  stored->recommendation.set_status(Recommendation::REVERTED);
  ASSERT_TRUE(store_->Advance((*changes)[0], stored->recommendation, true).ok());
  EXPECT_TRUE(store_->OpenChanges()->empty());
  EXPECT_EQ(store_->BarredNames()->count("a"), 1u);
  EXPECT_EQ(store_->Automatic(absl::Now() - absl::Hours(1))->bytes, 0);
  // Old and finished: gone with its change.
  Run("UPDATE slipstream.recommendations SET updated_at = now() - interval '91 days'");
  ASSERT_TRUE(store_->DeleteOld().ok());
  EXPECT_TRUE(Run("SELECT 1 FROM slipstream.changes").empty());
}

TEST_F(RecommendationStoreTest, AMillionRowsAreNeverReadFromEndToEnd) {
  Run("INSERT INTO slipstream.recommendations SELECT gen_random_uuid(), 1 + i % 7, 4 + i % 4, "
      "'o' || i, 'public', 'x' || i, 'public.t', random() * 100, '{}', now() - i * interval '1 s', "
      "now() - i * interval '1 s' FROM generate_series(1, 1000000) i");
  Run("INSERT INTO slipstream.changes SELECT gen_random_uuid(), gen_random_uuid(), 'VERIFY', "
      "i % 1000 = 0, 'x', 1, 0, NULL, NULL, '', now(), now() - i * interval '1 min', now(), now() "
      "FROM generate_series(1, 1000000) i");
  Run("ANALYZE slipstream.recommendations, slipstream.changes");
  // Everything that the store asks, as the server plans it: auto_explain would need a restart, so
  // the counters of sequential scans tell.
  Run("SELECT pg_stat_reset()");
  const std::string id =
      Run("SELECT recommendation_id FROM slipstream.recommendations LIMIT 1")[0][0].value_or("");
  Run("SELECT pg_stat_force_next_flush()");
  Run("SELECT pg_stat_reset()");
  for (const bool by_status : {false, true}) {
    for (const bool by_kind : {false, true}) {
      for (const bool paged : {false, true}) {
        std::optional<RecommendationStore::Position> after;
        if (paged) after = {50.0, id};
        auto found = store_->List(by_status ? Recommendation::VERIFIED : Recommendation::Status(),
                                  by_kind ? Recommendation::CREATE_INDEX : Recommendation::Kind(),
                                  after, 21);
        ASSERT_TRUE(found.ok()) << found.status();
        EXPECT_TRUE(by_status && by_kind ? true : found->size() == 21);
      }
    }
  }
  ASSERT_TRUE(store_->Get(id).ok());
  ASSERT_TRUE(store_->OpenChanges().ok());
  ASSERT_TRUE(store_->Automatic(absl::Now() - absl::Hours(24)).ok());
  ASSERT_TRUE(store_->BarredNames().ok());
  ASSERT_TRUE(store_->DeleteOld().ok());
  auto proposed = store_->Propose({Make("a", 5)}, {});
  ASSERT_TRUE(proposed.ok()) << proposed.status();
  ASSERT_TRUE(store_
                  ->BeginChange((*proposed)[0].recommendation_id(), Recommendation::PROPOSED,
                                Recommendation::APPLYING, Step::kBuild, false, "x", 1)
                  .ok());
  Run("SELECT pg_stat_force_next_flush()");
  const auto scans =
      Run("SELECT relname, seq_scan FROM pg_stat_user_tables WHERE schemaname = 'slipstream' "
          "AND relname IN ('recommendations', 'changes') AND seq_scan > 0");
  EXPECT_TRUE(scans.empty()) << scans[0][0].value_or("") << " " << scans[0][1].value_or("");
  // And by the plan itself, of the query that people wait for.
  const auto plan =
      Run(absl::StrCat("PREPARE l AS ", RecommendationStore::ListSql(true, true, true), ";",
                       "EXPLAIN EXECUTE l (21, 1, 6, 50.0, '", id, "')"));
  for (const auto& row : plan) {
    EXPECT_FALSE(absl::StrContains(row[0].value_or(""), "Seq Scan on recommendations"));
  }
  EXPECT_FALSE(plan.empty());
}

}  // namespace
}  // namespace slipstream::database_optimizer
