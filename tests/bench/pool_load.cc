// Load on the pool alone, in this process: --inflight coroutines that each run one statement after
// the other.
//   pool_load --url=... --sql="SELECT ... $1" --connections=20
// Prints what ClosedLoop measures, and busy_percent: of the time of all connections, how much they
// were in use.
#include <memory>
#include <string>

#include "absl/flags/flag.h"
#include "libs/async/runtime.h"
#include "libs/async/start.h"
#include "libs/postgres/pool.h"
#include "tests/bench/bench_load.h"
#include "tests/bench/closed_loop.h"

ABSL_DECLARE_FLAG(double, seconds);
ABSL_FLAG(std::string, url, "", "postgresql://user@host:port/database");
ABSL_FLAG(std::string, sql, "SELECT $1::int", "the statement");
ABSL_FLAG(int, keys, 10000, "parameters are 1 to this");
ABSL_FLAG(int, connections, 20, "of the pool");

namespace slipstream::bench {
namespace {

int Main() {
  const int connections = absl::GetFlag(FLAGS_connections);
  const clock::SystemClock clock;
  postgres::Pool pool({.primary_url = absl::GetFlag(FLAGS_url),
                       .min_connections_count = connections,
                       .max_connections_count = connections},
                      clock);
  pool.Start();
  async::Runtime runtime(2);
  const Executor executor = runtime.executor();
  const auto sql = std::make_shared<const std::string>(absl::GetFlag(FLAGS_sql));
  const int keys = absl::GetFlag(FLAGS_keys);
  ClosedLoop loop;
  const auto start = [&](int slot, int64_t number) {
    async::Start(executor, [&, slot, number]() -> Async<void> {
      auto result =
          co_await pool.Run({.sql = sql, .parameters = {std::to_string(number * 7919 % keys + 1)}},
                            {.holder = "bench", .timeout = absl::Seconds(60)});
      loop.Ended(slot, result.ok() && result->rows_count() == 1);
    });
  };
  nlohmann::json out;
  const absl::Duration busy = pool.figures().busy_time;
  const int64_t began = NowNs();
  loop.Run(start, &out);
  out["busy_percent"] = absl::ToDoubleSeconds(pool.figures().busy_time - busy) * 1e9 * 100 /
                        (static_cast<double>(NowNs() - began) * connections);
  Print(out);
  pool.Stop();
  return 0;
}

}  // namespace
}  // namespace slipstream::bench

int main(int argc, char** argv) {
  slipstream::bench::ParseFlags(argc, argv);
  return slipstream::bench::Main();
}
