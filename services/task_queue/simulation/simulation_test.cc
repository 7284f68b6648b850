#include "services/task_queue/simulation/simulation.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <string>

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

// A forged report was refused, its very lease granted, and only then was the refusal settled: the
// worker dropped what the store went on to hold as its.
TEST(SimulationTest, ASeedThatOnceFoundALostLease) {
  metrics::Registry registry;
  const QueueSeries series(registry);
  const Outcome outcome = RunSeed({.seed = 8078}, MakeMemoryStore, series);
  EXPECT_TRUE(outcome.passed) << outcome.invariant << ": " << outcome.violation;
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

// What the binary prints of 200 seeds, without the time they took.
std::string ReportOfAProcess() {
  std::FILE* out = popen("services/task_queue/simulation/simulate --seeds 200", "r");
  if (out == nullptr) return "";
  std::string text;
  std::array<char, 4096> bytes;
  for (size_t count; (count = std::fread(bytes.data(), 1, bytes.size(), out)) > 0;) {
    text.append(bytes.data(), count);
  }
  if (pclose(out) != 0) return "";
  const size_t line_end = text.find('\n');
  const size_t time = text.rfind(", ", line_end);
  return text.erase(time, line_end - time);
}

// A seed is printed to be replayed, so nothing may hang on where a process lies in memory: the
// order of a hash table that is seeded with an address does.
TEST(SimulationTest, ASeedIsTheSameRunInEveryProcess) {
  const std::string first = ReportOfAProcess();
  ASSERT_NE(first.find("200 seeds, 200 passed"), std::string::npos) << first;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ReportOfAProcess(), first);
}

}  // namespace
}  // namespace slipstream::task_queue::simulation
