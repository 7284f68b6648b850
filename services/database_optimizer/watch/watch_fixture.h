// A watch of a real PostgreSQL that each test file has to itself, looked at step by step.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_WATCH_FIXTURE_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_WATCH_FIXTURE_H_

#include <algorithm>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "libs/async/runtime.h"
#include "libs/async/scope.h"
#include "libs/clock/clock.h"
#include "services/database_optimizer/watch/postgres_stats_source.h"
#include "services/database_optimizer/watch/watch_loop.h"
#include "tests/harness/postgres_server.h"

namespace slipstream::database_optimizer {

using Alert = v1::DatabaseAlert;
inline constexpr absl::Duration kPatience = absl::Seconds(60);

// Keeps what it is told; fails on request.
class RecordingSink final : public AlertSink {
 public:
  Async<absl::Status> Tell(std::span<const AlertChange> changes) override {
    if (away) co_return absl::UnavailableError("away");
    told.insert(told.end(), changes.begin(), changes.end());
    co_return absl::OkStatus();
  }
  int Count(Alert::Kind kind, AlertChange::State state) const {
    return static_cast<int>(std::count_if(told.begin(), told.end(), [&](const AlertChange& c) {
      return c.alert.kind() == kind && c.state == state;
    }));
  }
  bool away = false;
  std::vector<AlertChange> told;
};

class Watch : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto server = tests::PostgresServer::Start(
        {.settings = {"shared_preload_libraries=pg_stat_statements", "autovacuum=off",
                      "track_activity_query_size=4096", "log_min_messages=fatal"}});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = server->release();
    Run("CREATE EXTENSION pg_stat_statements");
  }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }
  Watch() {
    settings_.slow_warning = absl::Milliseconds(100);
    settings_.slow_critical = absl::Milliseconds(400);
    settings_.lock_wait_alert = absl::Milliseconds(50);
    settings_.leak_report = absl::Milliseconds(50);
    settings_.bloat_alert_min_bytes = 0;
    settings_.interval = absl::Milliseconds(50);
    Run("SELECT pg_stat_statements_reset()");
    Remake();
  }
  ~Watch() override { client_.Stop(); }

  void Remake() {
    loop_ = std::make_unique<WatchLoop>(
        WatchLoop::Deps{client_, observed_, sink_, clock_, metrics_, logging::Logger(),
                        [this](v1::GetStatsResponse* out) { add_pool_(out); }},
        settings_);
    source_ = std::make_unique<PostgresStatsSource>(
        PostgresStatsSource::Deps{client_, *loop_, settings_, nullptr});
  }
  static postgres::ClientOptions ClientOptions() {
    postgres::ClientOptions options;
    options.connection.url = server_->url();
    options.connection.connect_timeout = absl::Seconds(2);
    options.connection.read_only = true;
    options.connection.application_name = kWatchApplication;
    options.threads_count = 2;
    options.retry_broken = true;
    return options;
  }
  static std::unique_ptr<postgres::Connection> Open(const std::string& application = "app") {
    auto connection = postgres::Connection::Open({.url = server_->url(),
                                                  .statement_timeout = absl::Seconds(60),
                                                  .application_name = application});
    EXPECT_TRUE(connection.ok()) << connection.status();
    return *std::move(connection);
  }
  static void Run(const std::string& sql) { Run(*Open(), sql); }
  static void Run(postgres::Connection& connection, const std::string& sql) {
    const auto done = connection.Query(sql);
    ASSERT_TRUE(done.ok()) << sql << ": " << done.status();
  }
  static int Pid(postgres::Connection& connection) {
    return std::stoi(*(*connection.Query("SELECT pg_backend_pid()"))[0][0]);
  }

  template <class T>
  T Await(std::function<Async<T>()> coroutine) {
    std::promise<T> promise;
    scope_.Spawn([&]() -> Async<void> { promise.set_value(co_await coroutine()); });
    return promise.get_future().get();
  }
  absl::Duration Look() {
    return Await<absl::Duration>([this] { return loop_->Look(); });
  }
  v1::GetStatsResponse Stats(int limit_count = 20) {
    auto stats = Await<absl::StatusOr<v1::GetStatsResponse>>(
        [this, limit_count] { return source_->Read(limit_count, absl::Seconds(8)); });
    EXPECT_TRUE(stats.ok()) << stats.status();
    return stats.ok() ? *stats : v1::GetStatsResponse();
  }
  // Looks until it is seen.
  v1::GetStatsResponse LookUntil(const std::function<bool(const v1::GetStatsResponse&)>& seen) {
    const absl::Time deadline = absl::Now() + kPatience;
    for (;;) {
      Look();
      v1::GetStatsResponse stats = Stats();
      if (seen(stats)) return stats;
      if (absl::Now() > deadline) {
        ADD_FAILURE() << "not seen: " << stats.ShortDebugString();
        return stats;
      }
    }
  }
  static const v1::TableHealth* Table(const v1::GetStatsResponse& stats, const std::string& name) {
    for (const auto& table : stats.tables()) {
      if (table.table() == name) return &table;
    }
    return nullptr;
  }

  inline static tests::PostgresServer* server_ = nullptr;
  clock::SystemClock clock_;
  metrics::Registry metrics_;
  WatchSettings settings_;
  RecordingSink sink_;
  ObservedStatements observed_{clock_, 20};
  std::function<void(v1::GetStatsResponse*)> add_pool_ = [](v1::GetStatsResponse*) {};
  postgres::Client client_{ClientOptions()};
  std::unique_ptr<WatchLoop> loop_;
  std::unique_ptr<PostgresStatsSource> source_;
  async::Runtime runtime_{2};
  async::Scope scope_{runtime_.executor()};
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_WATCH_FIXTURE_H_
