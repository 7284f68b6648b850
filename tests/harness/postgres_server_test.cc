// The harness's own: a replica streams, is promoted, and outlives its primary.
#include "tests/harness/postgres_server.h"

#include <chrono>
#include <thread>

#include "gtest/gtest.h"

namespace slipstream::tests {
namespace {

// The answer, once it is `wanted`, or the latest after ten seconds.
std::string Eventually(const PostgresServer& server, const std::string& sql,
                       const std::string& wanted) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  for (;;) {
    auto answer = server.Sql(sql);
    const std::string text = answer.ok() ? *answer : answer.status().ToString();
    if (text == wanted || std::chrono::steady_clock::now() > deadline) return text;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

TEST(PostgresServerTest, AReplicaStreamsAndIsPromoted) {
  auto primary = PostgresServer::Start();
  ASSERT_TRUE(primary.ok()) << primary.status();
  ASSERT_TRUE((*primary)->Sql("CREATE TABLE t (x int)").ok());
  auto replica = (*primary)->StartReplica();
  ASSERT_TRUE(replica.ok()) << replica.status();
  EXPECT_EQ(*(*replica)->Sql("SELECT pg_is_in_recovery()"), "t");
  ASSERT_TRUE((*primary)->Sql("INSERT INTO t VALUES (7)").ok());
  EXPECT_EQ(Eventually(**replica, "SELECT x FROM t", "7"), "7");
  EXPECT_FALSE((*replica)->Sql("INSERT INTO t VALUES (8)").ok());
  (*primary)->Kill();
  ASSERT_TRUE((*replica)->Promote().ok());
  EXPECT_TRUE((*replica)->Sql("INSERT INTO t VALUES (8)").ok());
}

}  // namespace
}  // namespace slipstream::tests
