// Reads at a real streaming replica: taken while it is near, left within a second when it is gone,
// silent or behind, and never before it has what its reader wrote.
#include "libs/postgres/pool_fixture.h"

namespace slipstream::postgres {
namespace {

using std::chrono::steady_clock;

constexpr auto kLeftWithin = std::chrono::milliseconds(1000);
// Beside max_replica_lag, which has to pass first.
constexpr absl::Duration kMaxLag = absl::Milliseconds(500);

class ReplicaTest : public PoolTest {
 protected:
  void SetUp() override {
    auto replica = server_->StartReplica();
    ASSERT_TRUE(replica.ok()) << replica.status();
    replica_ = *std::move(replica);
    PoolOptions options = Options(4);
    options.replica_urls = {replica_->url()};
    options.max_replica_lag = kMaxLag;
    pool_ = Make(options);
    ASSERT_TRUE(Ask(*pool_, Write("CREATE TABLE IF NOT EXISTS t (x int)")).get().ok());
    ASSERT_TRUE(Eventually([&] { return InUse() && AtReplica(); }));
  }

  bool InUse() { return pool_->figures().replicas[0].in_use; }
  absl::StatusOr<Result> ReadAnywhere(std::string sql = "SELECT 1") {
    return Ask(*pool_, Read(std::move(sql)), absl::Seconds(10), {.allow_replica = true}).get();
  }
  bool AtReplica() {
    auto result = ReadAnywhere();
    return result.ok() && result->on_replica();
  }

  std::unique_ptr<tests::PostgresServer> replica_;
  std::unique_ptr<Pool> pool_;
};

TEST_F(ReplicaTest, OnlyReadsThatMayGoThere) {
  EXPECT_EQ(First(ReadAnywhere("SELECT inet_server_port()")), std::to_string(replica_->port()));
  EXPECT_EQ(First(Ask(*pool_, "SELECT inet_server_port()").get()), std::to_string(server_->port()));
  auto written =
      Ask(*pool_, Write("INSERT INTO t VALUES (1)"), absl::Seconds(10), {.allow_replica = true})
          .get();
  ASSERT_TRUE(written.ok()) << written.status();
  EXPECT_FALSE(written->on_replica());
  EXPECT_GE(pool_->figures().replica_statements_count, 1);
}

TEST_F(ReplicaTest, ReadYourWrites) {
  ASSERT_TRUE(replica_->Sql("SELECT pg_wal_replay_pause()").ok());
  for (int i = 0; i < 20; ++i) {
    auto written = Ask(*pool_, Write("INSERT INTO t SELECT max(x) + 1 FROM t RETURNING x")).get();
    ASSERT_TRUE(written.ok()) << written.status();
    auto read = Ask(*pool_, Read("SELECT max(x) FROM t"), absl::Seconds(10),
                    {.allow_replica = true, .after = written->wal_position()})
                    .get();
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(First(read), First(written));
    EXPECT_FALSE(read->on_replica());
    if (i == 10) ASSERT_TRUE(replica_->Sql("SELECT pg_wal_replay_resume()").ok());
    if (i == 10) break;
  }
  // Once it has replayed it, it answers.
  auto written = Ask(*pool_, Write("INSERT INTO t VALUES (1000) RETURNING x")).get();
  ASSERT_TRUE(written.ok()) << written.status();
  EXPECT_TRUE(Eventually([&] {
    auto read = Ask(*pool_, Read("SELECT max(x) FROM t"), absl::Seconds(10),
                    {.allow_replica = true, .after = written->wal_position()})
                    .get();
    EXPECT_EQ(First(read), "1000");
    return read.ok() && read->on_replica();
  }));
}

TEST_F(ReplicaTest, OneThatLagsIsLeftAndTakenAgain) {
  ASSERT_TRUE(replica_->Sql("SELECT pg_wal_replay_pause()").ok());
  ASSERT_TRUE(Ask(*pool_, Write("INSERT INTO t VALUES (1)")).get().ok());
  const auto begun = steady_clock::now();
  ASSERT_TRUE(Eventually([&] { return !InUse(); }));
  EXPECT_LT(steady_clock::now() - begun, kLeftWithin + absl::ToChronoMilliseconds(kMaxLag));
  EXPECT_FALSE(AtReplica());
  const ReplicaFigures figures = pool_->figures().replicas[0];
  EXPECT_GT(figures.lag_bytes, 0);
  EXPECT_GT(figures.lag, kMaxLag);
  EXPECT_NE(figures.why_left.find("behind"), std::string::npos) << figures.why_left;
  ASSERT_TRUE(replica_->Sql("SELECT pg_wal_replay_resume()").ok());
  EXPECT_TRUE(Eventually([&] { return AtReplica(); }));
}

// The lag is one of positions: nothing written, nothing behind.
TEST_F(ReplicaTest, AnIdlePrimaryHasNoLag) {
  ASSERT_TRUE(Eventually([&] { return pool_->figures().replicas[0].lag_bytes == 0; }));
  const auto until = steady_clock::now() + std::chrono::milliseconds(1500);
  while (steady_clock::now() < until) {
    ASSERT_TRUE(InUse()) << pool_->figures().replicas[0].why_left;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

TEST_F(ReplicaTest, OneThatIsKilledIsLeftAndTakenAgain) {
  replica_->Kill();
  const auto begun = steady_clock::now();
  // No read fails meanwhile.
  while (InUse()) {
    auto result = ReadAnywhere();
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_LT(steady_clock::now() - begun, kLeftWithin);
  }
  ASSERT_TRUE(replica_->Restart().ok());
  EXPECT_TRUE(Eventually([&] { return AtReplica(); }));
}

TEST_F(ReplicaTest, OneThatIsSilentIsLeftWithWhatRanThere) {
  replica_->Pause();
  const auto begun = steady_clock::now();
  std::vector<Answer> answers;
  for (int i = 0; i < 20; ++i) {
    answers.push_back(Ask(*pool_, Read("SELECT 1"), absl::Seconds(10), {.allow_replica = true}));
  }
  for (auto& answer : answers) {
    auto result = answer.get();
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_FALSE(result->on_replica());
  }
  EXPECT_LT(steady_clock::now() - begun, kLeftWithin);
  EXPECT_FALSE(InUse());
  replica_->Resume();
  EXPECT_TRUE(Eventually([&] { return AtReplica(); }));
}

// It says nothing of its lag, and yet its lag is known.
TEST_F(ReplicaTest, TheLagOfOneThatIsSilentGrows) {
  const std::string name = "replica_" + std::to_string(replica_->port());
  EXPECT_TRUE(Eventually([&] { return pool_->figures().replicas[0].streams_as == name; }))
      << pool_->figures().replicas[0].streams_as;
  replica_->Pause();
  ASSERT_TRUE(Ask(*pool_, Write("INSERT INTO t VALUES (1)")).get().ok());
  EXPECT_TRUE(Eventually([&] {
    const ReplicaFigures figures = pool_->figures().replicas[0];
    return !figures.in_use && figures.lag_bytes > 0 && figures.lag > absl::Milliseconds(800);
  }));
  replica_->Resume();
  EXPECT_TRUE(Eventually([&] { return pool_->figures().replicas[0].lag_bytes == 0; }));
}

TEST_F(ReplicaTest, OneThatWasPromotedIsNoReplica) {
  ASSERT_TRUE(replica_->Promote().ok());
  EXPECT_TRUE(Eventually([&] { return !InUse(); }, kLeftWithin));
  EXPECT_FALSE(AtReplica());
}

}  // namespace
}  // namespace slipstream::postgres
