// What goes through a real pool is observed under its shape.
#include "services/database_optimizer/watch/pool_observer.h"

#include <future>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "libs/async/runtime.h"
#include "libs/async/scope.h"
#include "libs/postgres/pool.h"
#include "services/database_optimizer/watch/statement_parse.h"
#include "slipstream/config/v1/config.pb.h"
#include "tests/harness/postgres_server.h"

namespace slipstream::database_optimizer {
namespace {

constexpr char kTrace[] = "4bf92f3577b34da6a3ce929d0e0e4736";

config::v1::DatabaseWatchConfig Config() {
  config::v1::DatabaseWatchConfig out;
  out.set_n_plus_one_count(20);
  return out;
}

// Until so many were observed: what is not known yet is parsed on another thread.
void Await(PoolObserver& observer, int64_t count) {
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (observer.observed().latencies().observed_count() < count && absl::Now() < deadline) {
    std::this_thread::yield();
  }
}

TEST(PoolObserver, AnNPlusOneThroughThePool) {
  auto server = tests::PostgresServer::Start();
  ASSERT_TRUE(server.ok()) << server.status();
  clock::SystemClock clock;
  auto observer = std::make_shared<PoolObserver>(clock, Config());
  postgres::PoolOptions options;
  options.primary_url = (*server)->url();
  options.observer = observer;
  postgres::Pool pool(options, clock);
  pool.Start();
  async::Runtime runtime(1);
  async::Scope scope(runtime.executor());
  std::promise<int> failures;
  scope.Spawn([&]() -> Async<void> {
    int failed = 0;
    const auto shared = std::make_shared<const std::string>("SELECT $1::int + pg_backend_pid()");
    for (int i = 0; i < 50; ++i) {
      postgres::Statement statement;
      // Some share their text, some bring one of their own.
      statement.sql = i % 2 == 0 ? shared : std::make_shared<const std::string>(*shared);
      statement.parameters = {absl::StrCat(i)};
      failed +=
          !(co_await pool.Run(statement, {.holder = "OrderService.List", .trace_id = kTrace})).ok();
    }
    failures.set_value(failed);
  });
  EXPECT_EQ(failures.get_future().get(), 0);
  Await(*observer, 50);
  const auto patterns = observer->observed().n_plus_one().Patterns(10);
  ASSERT_EQ(patterns.size(), 1u);
  EXPECT_EQ(patterns[0].repetitions_count(), 50);
  EXPECT_EQ(patterns[0].example_trace_id(), kTrace);
  EXPECT_EQ(patterns[0].caller(), "OrderService.List");
  EXPECT_EQ(patterns[0].statement(), "SELECT $1::int + pg_backend_pid()");
  EXPECT_EQ(patterns[0].fingerprint(), Fingerprint("SELECT $1::int + pg_backend_pid()"));
  EXPECT_GT(observer->observed().latencies().P95(patterns[0].fingerprint()), absl::ZeroDuration());
  EXPECT_EQ(observer->left_out_count(), 0);
  pool.Stop();
  observer->Stop();
}

TEST(PoolObserver, IsBounded) {
  clock::SystemClock clock;
  PoolObserver observer(clock, Config());
  const absl::Status ok;
  const postgres::Caller caller{.holder = "x", .trace_id = kTrace};
  constexpr int kTextsCount = 20000;
  for (int i = 0; i < kTextsCount; ++i) {
    postgres::Statement statement;
    statement.sql = std::make_shared<const std::string>(absl::StrCat("SELECT c", i));
    observer.OnStatement({statement, caller, ok, absl::ZeroDuration(), absl::Milliseconds(1)});
  }
  Await(observer, kTextsCount - observer.left_out_count());
  EXPECT_EQ(observer.observed().latencies().observed_count() + observer.left_out_count(),
            kTextsCount);
  EXPECT_GT(observer.left_out_count(), 0);
  observer.Stop();
}

}  // namespace
}  // namespace slipstream::database_optimizer
