// The service over a real server on loopback and a real PostgreSQL that is killed, paused and
// brought back; the chain's auth stage is not part of it.
#include "services/database_optimizer/database_optimizer_service.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <memory>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "libs/async/runtime.h"
#include "libs/clock/clock.h"
#include "libs/metrics/registry.h"
#include "libs/postgres/client.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/server.h"
#include "libs/rpc/status_convert.h"
#include "libs/status/status.h"
#include "services/database_optimizer/database_optimizer_metrics.h"
#include "services/database_optimizer/watch/postgres_query_explainer.h"
#include "services/database_optimizer/watch/postgres_stats_source.h"
#include "slipstream/database_optimizer/v1/database_optimizer.grpc.pb.h"
#include "tests/harness/postgres_server.h"

namespace slipstream::database_optimizer {
namespace {

using Stub = v1::DatabaseOptimizerService::Stub;

// Sets the deadline that the chain would set.
class DeadlineStage final : public rpc::Stage {
 public:
  explicit DeadlineStage(const clock::Clock& clock) : clock_(clock) {}
  std::string_view name() const override { return "deadline"; }
  absl::Status Begin(rpc::CallContext& call) override {
    call.set_deadline(clock_.Now() + timeout);
    return absl::OkStatus();
  }
  absl::Duration timeout = absl::Seconds(20);

 private:
  const clock::Clock& clock_;
};

// The service with a source, which may be null, and a client of it.
class Served {
 public:
  explicit Served(DatabaseStatsSource* source, QueryExplainer* explainer = nullptr)
      : engine_(source, explainer) {
    auto deadline = std::make_unique<DeadlineStage>(clock_);
    deadline_ = deadline.get();
    std::vector<std::unique_ptr<rpc::Stage>> stages;
    stages.push_back(std::move(deadline));
    chain_ = std::make_unique<rpc::Chain>(std::move(stages));
    dispatcher_ =
        std::make_unique<rpc::Dispatcher>(rpc::Dispatcher{*chain_, runtime_.executor(), clock_});
    service_ =
        std::make_unique<DatabaseOptimizerService>(engine_, DatabaseOptimizerParts{}, *dispatcher_);
    server_.AddService(service_->grpc());
    EXPECT_TRUE(server_.Start().ok());
    stub_ = v1::DatabaseOptimizerService::NewStub(rpc::MakeChannel(server_.LocalAddress()));
  }
  ~Served() { server_.Shutdown(absl::Seconds(2)); }

  template <class Q, class P>
  absl::Status Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Q&, P*),
                    const Q& request, P* response) {
    grpc::ClientContext context;
    return rpc::FromGrpc(((*stub_).*method)(&context, request, response));
  }
  template <class Q, class P>
  std::string ReasonOf(grpc::Status (Stub::*method)(grpc::ClientContext*, const Q&, P*)) {
    P response;
    return status::Reason(Call(method, Q(), &response));
  }
  absl::StatusOr<v1::GetStatsResponse> GetStats(int limit_count = 0) {
    v1::GetStatsRequest request;
    request.set_limit_count(limit_count);
    v1::GetStatsResponse response;
    absl::Status status = Call(&Stub::GetStats, request, &response);
    if (!status.ok()) return status;
    return response;
  }
  void set_timeout(absl::Duration timeout) { deadline_->timeout = timeout; }

 private:
  clock::SystemClock clock_;
  async::Runtime runtime_{2};
  DatabaseOptimizerEngine engine_;
  DeadlineStage* deadline_ = nullptr;
  std::unique_ptr<rpc::Chain> chain_;
  std::unique_ptr<rpc::Dispatcher> dispatcher_;
  std::unique_ptr<DatabaseOptimizerService> service_;
  rpc::Server server_{rpc::ServerOptions{}};
  std::unique_ptr<Stub> stub_;
};

bool HasGap(const v1::GetStatsResponse& stats, const std::string& text) {
  return std::any_of(stats.gaps().begin(), stats.gaps().end(),
                     [&](const std::string& gap) { return absl::StrContains(gap, text); });
}

TEST(WithoutPostgres, EveryCallSaysWhatToConfigure) {
  Served served(nullptr);
  const absl::Status status = served.GetStats().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status::Reason(status), "POSTGRES_NOT_CONFIGURED");
  for (const char* words :
       {"database_optimizer.postgres_url", "SLIPSTREAM_DATABASE_OPTIMIZER_POSTGRES_URL",
        "tools/up --postgres URL"}) {
    EXPECT_TRUE(absl::StrContains(std::string(status.message()), words)) << status;
  }
  const std::string not_configured = "POSTGRES_NOT_CONFIGURED";
  EXPECT_EQ(served.ReasonOf(&Stub::Optimize), not_configured);
  EXPECT_EQ(served.ReasonOf(&Stub::ListRecommendations), not_configured);
  EXPECT_EQ(served.ReasonOf(&Stub::GetRecommendation), not_configured);
  EXPECT_EQ(served.ReasonOf(&Stub::ApplyRecommendation), not_configured);
  EXPECT_EQ(served.ReasonOf(&Stub::RevertRecommendation), not_configured);
  EXPECT_EQ(served.ReasonOf(&Stub::ExplainQuery), not_configured);
  EXPECT_EQ(served.ReasonOf(&Stub::Query), not_configured);
  EXPECT_EQ(served.ReasonOf(&Stub::InvalidateTables), not_configured);
}

class WithPostgres : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto server =
        tests::PostgresServer::Start({.settings = {"shared_preload_libraries=pg_stat_statements"}});
    ASSERT_TRUE(server.ok()) << server.status();
    postgres_ = server->release();
  }
  static void TearDownTestSuite() {
    delete postgres_;
    postgres_ = nullptr;
  }
  WithPostgres() {
    postgres::ClientOptions options;
    options.connection.url = postgres_->url();
    options.connection.connect_timeout = absl::Seconds(2);
    options.connection.read_only = true;
    options.threads_count = 2;
    options.retry_broken = true;
    client_ = std::make_unique<postgres::Client>(options);
    watch_ = std::make_unique<WatchLoop>(
        WatchLoop::Deps{*client_, observed_, sink_, clock_, metrics_, logging::Logger(), nullptr},
        WatchSettings());
    source_ = std::make_unique<PostgresStatsSource>(PostgresStatsSource::Deps{
        *client_, *watch_, WatchSettings(),
        [](v1::GetStatsResponse* out) { out->mutable_pool()->set_max_connections_count(2); }});
    explainer_ = std::make_unique<PostgresQueryExplainer>(*client_);
    served_ = std::make_unique<Served>(source_.get(), explainer_.get());
  }

  static void Run(const std::vector<std::string>& statements) {
    auto connection = postgres::Connection::Open({.url = postgres_->url()});
    ASSERT_TRUE(connection.ok()) << connection.status();
    for (const auto& sql : statements) {
      const auto rows = (*connection)->Query(sql);
      ASSERT_TRUE(rows.ok()) << sql << ": " << rows.status();
    }
  }

  // Nothing is told: the loop does not run.
  class NoSink final : public AlertSink {
   public:
    Async<absl::Status> Tell(std::span<const AlertChange>) override { co_return absl::OkStatus(); }
  };

  inline static tests::PostgresServer* postgres_ = nullptr;
  clock::SystemClock clock_;
  metrics::Registry metrics_;
  ObservedStatements observed_{clock_, 20};
  NoSink sink_;
  std::unique_ptr<postgres::Client> client_;
  std::unique_ptr<WatchLoop> watch_;
  std::unique_ptr<PostgresStatsSource> source_;
  std::unique_ptr<PostgresQueryExplainer> explainer_;
  std::unique_ptr<Served> served_;
};

TEST_F(WithPostgres, FiguresOfTheServerAndTheDatabase) {
  Run({"CREATE TABLE orders (id int PRIMARY KEY, note text)",
       "INSERT INTO orders SELECT i, 'x' FROM generate_series(1, 1000) i",
       "DELETE FROM orders WHERE id <= 10", "ANALYZE orders"});
  auto stats = served_->GetStats();
  ASSERT_TRUE(stats.ok()) << stats.status();
  EXPECT_TRUE(absl::StartsWith(stats->server_version(), "15.")) << stats->server_version();
  EXPECT_EQ(stats->database().name(), "postgres");
  EXPECT_GT(stats->database().size_bytes(), 1000000);
  EXPECT_EQ(stats->database().deadlocks_count(), 0);
  EXPECT_EQ(stats->database().max_connections_count(), 50);
  EXPECT_GT(stats->buffer_hit_ratio(), 0.5);
  EXPECT_LE(stats->buffer_hit_ratio(), 1);
  ASSERT_GE(stats->database().connections_size(), 1);
  EXPECT_TRUE(std::any_of(stats->database().connections().begin(),
                          stats->database().connections().end(),
                          [](const auto& c) { return c.state() == "active" && c.count() >= 1; }));
  EXPECT_EQ(stats->examined().tables_count(), 1);
  EXPECT_EQ(stats->examined().indexes_count(), 1);
  ASSERT_EQ(stats->tables_size(), 1);
  EXPECT_EQ(stats->tables(0).table(), "public.orders");
  EXPECT_GT(stats->tables(0).total_bytes(), 8192);
  EXPECT_EQ(stats->tables(0).vacuum_age_s(), -1);
  EXPECT_GT(stats->tables(0).transactions_left_count(), 1000000);
  EXPECT_EQ(stats->pool().max_connections_count(), 2);
  EXPECT_EQ(stats->gaps_size(), 1) << "one more is a statement that PostgreSQL refused:\n"
                                   << stats->ShortDebugString();
  EXPECT_TRUE(HasGap(*stats, "pg_stat_statements is not installed"));
  EXPECT_FALSE(stats->examined().has_since());
  EXPECT_EQ(stats->top_queries_size(), 0);
}

TEST_F(WithPostgres, TopStatementsWithoutConstantsAndWithoutSecrets) {
  Run({"CREATE EXTENSION pg_stat_statements", "SELECT pg_sleep(0.05), 'a-constant'",
       "/* by a tool */ SELECT pg_sleep(0.01), 2, 3",
       "CREATE ROLE robot PASSWORD 'do-not-show-me'"});
  auto stats = served_->GetStats();
  ASSERT_TRUE(stats.ok()) << stats.status();
  EXPECT_EQ(stats->gaps_size(), 0) << stats->ShortDebugString();
  EXPECT_TRUE(stats->examined().has_since());
  EXPECT_GE(stats->examined().statements_count(), 3);
  ASSERT_GE(stats->top_queries_size(), 2);
  bool commented = false;
  for (const auto& query : stats->top_queries()) {
    EXPECT_EQ(query.fingerprint().size(), 16u);
    EXPECT_FALSE(absl::StrContains(query.statement(), "a-constant")) << query.statement();
    EXPECT_FALSE(absl::StrContains(query.statement(), "do-not-show-me")) << query.statement();
    EXPECT_FALSE(absl::StrContains(query.statement(), "EXTENSION")) << query.statement();
    commented |= absl::StrContains(query.statement(), "by a tool");
  }
  EXPECT_TRUE(commented) << "a statement behind a comment is one too";
  EXPECT_EQ(stats->top_queries(0).statement(), "SELECT pg_sleep($1), $2");
  EXPECT_EQ(stats->top_queries(0).calls_count(), 1);
  EXPECT_GE(stats->top_queries(0).mean_ms(), 50);
  auto one = served_->GetStats(1);
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ(one->top_queries_size(), 1);
  Run({"DROP EXTENSION pg_stat_statements", "DROP ROLE robot"});
}

TEST_F(WithPostgres, TheLimitIsChecked) {
  const absl::Status status = served_->GetStats(101).status();
  ASSERT_EQ(status::FieldViolations(status).size(), 1u) << status;
  EXPECT_EQ(status::FieldViolations(status)[0].field, "limit_count");
}

TEST_F(WithPostgres, AStatementIsExplainedAndAWriteIsRefused) {
  v1::ExplainQueryRequest request;
  request.set_statement("SELECT 1");
  request.set_analyze(true);
  v1::ExplainQueryResponse response;
  ASSERT_TRUE(served_->Call(&Stub::ExplainQuery, request, &response).ok());
  EXPECT_TRUE(absl::StrContains(response.plan_json(), "Actual Rows"));
  request.set_statement("DROP TABLE orders");
  const absl::Status status = served_->Call(&Stub::ExplainQuery, request, &response);
  EXPECT_EQ(status::Reason(status), "STATEMENT_NOT_READ_ONLY") << status;
}

TEST_F(WithPostgres, GoneIsUnreachableAndBackNeedsNoRestart) {
  ASSERT_TRUE(served_->GetStats().ok());
  postgres_->Kill();
  const absl::Status status = served_->GetStats().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_EQ(status::Reason(status), "POSTGRES_UNREACHABLE");
  ASSERT_TRUE(postgres_->Restart().ok());
  auto stats = served_->GetStats();
  EXPECT_TRUE(stats.ok()) << stats.status();
}

TEST_F(WithPostgres, HangingIsUnreachableWithinTheCallersTime) {
  metrics::Registry registry;
  auto registration = AddDatabaseOptimizerMetrics(registry, *client_);
  ASSERT_TRUE(served_->GetStats().ok());
  EXPECT_EQ(metrics::ValueOf(registry, "slipstream_database_optimizer_connections{state=\"open\"}"),
            1);
  postgres_->Pause();
  served_->set_timeout(absl::Milliseconds(300));
  const absl::Status status = served_->GetStats().status();
  EXPECT_EQ(status::Reason(status), "POSTGRES_UNREACHABLE") << status;
  postgres_->Resume();
  served_->set_timeout(absl::Seconds(20));
  auto stats = served_->GetStats();
  EXPECT_TRUE(stats.ok()) << stats.status();
}

}  // namespace
}  // namespace slipstream::database_optimizer
