// Which replica of the pool is which of those that stream from the primary.
#include "services/database_optimizer/query/pool_stats.h"

#include "gtest/gtest.h"

namespace slipstream::database_optimizer {
namespace {

v1::GetStatsResponse Streaming(const std::vector<std::string>& names) {
  v1::GetStatsResponse out;
  for (const std::string& name : names) {
    auto* replica = out.add_replicas();
    replica->set_name(name);
    replica->set_lag_ms(70);
    replica->set_lag_bytes(7);
  }
  out.mutable_examined()->set_replicas_count(out.replicas_size());
  return out;
}

postgres::ReplicaFigures Figures(std::string name, std::string streams_as) {
  return {.name = std::move(name),
          .streams_as = std::move(streams_as),
          .in_use = true,
          .lag_bytes = 9,
          .lag = absl::Milliseconds(50)};
}

TEST(PoolReplicasTest, OneReplicaIsOneEntryByItsAddressWithTheGreaterLag) {
  v1::GetStatsResponse stats = Streaming({"east", "west"});
  AddPoolReplicas({Figures("db2:5432", "west")}, &stats);
  ASSERT_EQ(stats.replicas_size(), 2);
  EXPECT_EQ(stats.replicas(0).name(), "east");
  EXPECT_FALSE(stats.replicas(0).in_use());
  EXPECT_EQ(stats.replicas(1).name(), "db2:5432");
  EXPECT_TRUE(stats.replicas(1).in_use());
  EXPECT_EQ(stats.replicas(1).lag_ms(), 70);
  EXPECT_EQ(stats.replicas(1).lag_bytes(), 9);
  EXPECT_EQ(stats.examined().replicas_count(), 2);
}

// Two that sign in by one name could be either.
TEST(PoolReplicasTest, WhatIsNotKnownStandsApart) {
  v1::GetStatsResponse stats = Streaming({"walreceiver", "walreceiver", "west"});
  AddPoolReplicas(
      {Figures("db1:5432", "walreceiver"), Figures("db2:5432", ""), Figures("db3:5432", "gone"),
       Figures("db4:5432", "west"), Figures("db5:5432", "west")},
      &stats);
  EXPECT_EQ(stats.replicas_size(), 8);
  EXPECT_EQ(stats.examined().replicas_count(), 8);
  EXPECT_EQ(stats.replicas(2).name(), "west");
  EXPECT_FALSE(stats.replicas(2).in_use());
}

}  // namespace
}  // namespace slipstream::database_optimizer
