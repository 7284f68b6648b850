// simulate --seeds 10000            runs the seeds 1-10,000 and sums up
// simulate --seed 42 --verbose      replays one, step by step
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "absl/strings/numbers.h"
#include "services/task_queue/simulation/report.h"
#include "services/task_queue/simulation/simulation.h"

namespace slipstream::task_queue::simulation {
namespace {

constexpr char kUsage[] =
    "simulate [--seeds N] [--first_seed K] [--seed K [--verbose]] [--store memory]\n"
    "         [--max_seconds S]\n"
    "Runs the seeds K to K+N-1 (1 to 100 unless told otherwise) until one violates an invariant.\n";

struct Arguments {
  int64_t seeds_count = 100;
  uint64_t first_seed = 1;
  int64_t max_seconds = 0;  // no more seeds after it; 0 for no bound
  bool verbose = false;
  std::string store = "memory";
};

bool Parse(int argc, char** argv, Arguments& out) {
  for (int i = 1; i < argc; ++i) {
    std::string name = argv[i];
    std::string value;
    if (const size_t equals = name.find('='); equals != std::string::npos) {
      value = name.substr(equals + 1);
      name.resize(equals);
    } else if (name != "--verbose" && i + 1 < argc) {
      value = argv[++i];
    }
    bool good = true;
    if (name == "--verbose") {
      out.verbose = true;
    } else if (name == "--seeds") {
      good = absl::SimpleAtoi(value, &out.seeds_count);
    } else if (name == "--first_seed") {
      good = absl::SimpleAtoi(value, &out.first_seed);
    } else if (name == "--max_seconds") {
      good = absl::SimpleAtoi(value, &out.max_seconds);
    } else if (name == "--seed") {
      good = absl::SimpleAtoi(value, &out.first_seed);
      out.seeds_count = 1;
    } else if (name == "--store") {
      out.store = value;
      good = value == "memory";
    } else {
      good = false;
    }
    if (!good) return false;
  }
  return true;
}

int Main(int argc, char** argv) {
  Arguments arguments;
  if (!Parse(argc, argv, arguments)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  metrics::Registry registry;
  const QueueSeries series(registry);
  Summary summary;
  const uint64_t end = arguments.first_seed + static_cast<uint64_t>(arguments.seeds_count);
  for (uint64_t seed = arguments.first_seed; seed < end; ++seed) {
    if (arguments.max_seconds > 0 &&
        summary.seconds() >= static_cast<double>(arguments.max_seconds)) {
      break;
    }
    const Outcome outcome = RunSeed({seed, false, arguments.verbose}, MakeMemoryStore, series);
    summary.Add(outcome);
    if (outcome.passed) continue;
    // The same again, with its steps.
    const Outcome traced =
        arguments.verbose ? outcome : RunSeed({seed, true, false}, MakeMemoryStore, series);
    std::fputs((ViolationText(seed, traced) + summary.Text()).c_str(), stdout);
    return 1;
  }
  std::fputs(summary.Text().c_str(), stdout);
  return 0;
}

}  // namespace
}  // namespace slipstream::task_queue::simulation

int main(int argc, char** argv) { return slipstream::task_queue::simulation::Main(argc, argv); }
