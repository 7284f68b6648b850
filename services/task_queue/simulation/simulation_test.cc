#include "services/task_queue/simulation/simulation.h"

#include <gtest/gtest.h>

#include "absl/strings/str_join.h"

namespace slipstream::task_queue::simulation {
namespace {

TEST(SimulationTest, TwoHundredSeedsHoldEveryInvariant) {
  metrics::Registry registry;
  const QueueSeries series(registry);
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    const Outcome outcome = RunSeed({.seed = seed}, MakeMemoryStore, series);
    ASSERT_TRUE(outcome.passed) << "seed " << seed << ": " << outcome.invariant << ": "
                                << outcome.violation << "\nreplay: simulate --seed " << seed
                                << " --verbose";
  }
}

TEST(SimulationTest, ASeedIsTheSameRunEachTime) {
  metrics::Registry registry;
  const QueueSeries series(registry);
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const Outcome first = RunSeed({.seed = seed, .trace = true}, MakeMemoryStore, series);
    const Outcome again = RunSeed({.seed = seed, .trace = true}, MakeMemoryStore, series);
    EXPECT_EQ(first.step_count, again.step_count);
    EXPECT_EQ(first.faults, again.faults);
    EXPECT_EQ(absl::StrJoin(first.last_steps, "\n"), absl::StrJoin(again.last_steps, "\n"));
  }
}

}  // namespace
}  // namespace slipstream::task_queue::simulation
