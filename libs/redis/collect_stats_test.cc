// A client's figures at /metrics.
#include "libs/redis/collect_stats.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "libs/redis/redis_fixture.h"

namespace slipstream::redis {
namespace {

using CollectStatsTest = RedisFixture;

TEST_F(CollectStatsTest, AClientWithARegistryShowsItsFiguresUnderItsNameWhileItLives) {
  auto server = *tests::RedisServer::Start();
  metrics::Registry registry;
  const auto value = [&](const std::string& series) { return metrics::ValueOf(registry, series); };
  auto client = *Client::Create({runtime_.executor(), random_, logging::Logger(), &registry},
                                {.url = server->url(), .client_name = "test"});
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Do(*client, {"PING"}).ok());
  ASSERT_FALSE(Do(*client, {"NO-SUCH-COMMAND"}).ok());
  EXPECT_EQ(value("slipstream_redis_commands_total{client=\"test\"}"), 4);
  EXPECT_EQ(value("slipstream_redis_errors_total{client=\"test\",cause=\"other\"}"), 1);
  EXPECT_EQ(value("slipstream_redis_errors_total{client=\"test\",cause=\"timeout\"}"), 0);
  EXPECT_GE(value("slipstream_redis_writes_total{client=\"test\"}"), 1);
  EXPECT_GT(value("slipstream_redis_round_trip_seconds_total{client=\"test\"}"), 0);
  EXPECT_EQ(value("slipstream_redis_nodes{client=\"test\",state=\"up\"}"), 1);
  double answered =
      value("slipstream_redis_round_trips_total{client=\"test\",up_to_seconds=\"inf\"}");
  for (const double up_to : Stats::kBucketSeconds) {
    answered +=
        value(absl::StrCat("slipstream_redis_round_trips_total{client=\"test\","
                           "up_to_seconds=\"",
                           up_to, "\"}"));
  }
  EXPECT_EQ(answered, 4);
  client.reset();
  EXPECT_EQ(value("slipstream_redis_commands_total{client=\"test\"}"), 0);
}

}  // namespace
}  // namespace slipstream::redis
