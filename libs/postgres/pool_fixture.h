// What the pool's tests share: a server for all of them, and statements as futures.
#ifndef LIBS_POSTGRES_POOL_FIXTURE_H_
#define LIBS_POSTGRES_POOL_FIXTURE_H_

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "libs/async/runtime.h"
#include "libs/async/scope.h"
#include "libs/postgres/connection.h"
#include "libs/postgres/pool.h"
#include "libs/status/status.h"
#include "tests/harness/postgres_server.h"

namespace slipstream::postgres {

using Answer = std::future<absl::StatusOr<Result>>;

// Until it is true, for at most `timeout`; whether it became so.
template <class Condition>
bool Eventually(Condition condition, std::chrono::milliseconds timeout = std::chrono::seconds(15)) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

inline Statement Read(std::string sql, std::vector<std::optional<std::string>> parameters = {}) {
  return {.sql = std::make_shared<const std::string>(std::move(sql)),
          .parameters = std::move(parameters)};
}

inline Statement Write(std::string sql) {
  Statement statement = Read(std::move(sql));
  statement.access = Access::kWrite;
  return statement;
}

class PoolTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto server = tests::PostgresServer::Start({.settings = {"max_connections=30"}});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = server->release();
  }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }

  static PoolOptions Options(int connections_count) {
    return {.primary_url = server_->url(),
            .min_connections_count = connections_count,
            .max_connections_count = connections_count,
            .connect_timeout = absl::Seconds(2)};
  }
  static std::unique_ptr<Pool> Make(PoolOptions options) {
    static const clock::SystemClock clock;
    auto pool = std::make_unique<Pool>(std::move(options), clock);
    pool->Start();
    return pool;
  }

  Answer Ask(Pool& pool, Statement statement, absl::Duration timeout = absl::Seconds(20),
             Route route = {}) {
    auto promise = std::make_shared<std::promise<absl::StatusOr<Result>>>();
    auto answer = promise->get_future();
    scope_.Spawn([&pool, statement, timeout, route, promise]() -> Async<void> {
      promise->set_value(co_await pool.Run(
          statement, {.holder = "test", .trace_id = "0af7", .timeout = timeout}, route));
    });
    return answer;
  }
  Answer Ask(Pool& pool, const std::string& sql, absl::Duration timeout = absl::Seconds(20),
             Route route = {}) {
    return Ask(pool, Read(sql), timeout, route);
  }
  absl::StatusOr<Lease> Take(Pool& pool, std::string holder = "test") {
    std::promise<absl::StatusOr<Lease>> promise;
    scope_.Spawn([&]() -> Async<void> {
      promise.set_value(co_await pool.Acquire({.holder = holder, .trace_id = "0af7"}));
    });
    return promise.get_future().get();
  }
  absl::StatusOr<Result> RunOn(Lease& lease, Statement statement,
                               absl::Duration timeout = absl::Seconds(10)) {
    std::promise<absl::StatusOr<Result>> promise;
    scope_.Spawn(
        [&]() -> Async<void> { promise.set_value(co_await lease.Run(statement, timeout)); });
    return promise.get_future().get();
  }

  // The first value of the first row, or the error.
  static std::string First(const absl::StatusOr<Result>& result) {
    if (!result.ok()) return result.status().ToString();
    if (result->rows_count() == 0) return "no row";
    return std::string(result->Value(0, 0).value_or("NULL"));
  }

  inline static tests::PostgresServer* server_ = nullptr;
  async::Runtime runtime_{2};
  async::Scope scope_{runtime_.executor()};
};

}  // namespace slipstream::postgres

#endif  // LIBS_POSTGRES_POOL_FIXTURE_H_
