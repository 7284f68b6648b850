// What all clients of one run of cache_checker share: the model, the counts, and where they print.
//
// Thread safety: all of it, from any thread.
#ifndef TESTS_CHAOS_CACHE_CHECKER_RUN_H_
#define TESTS_CHAOS_CACHE_CHECKER_RUN_H_

#include <atomic>
#include <iostream>
#include <string>

#include "libs/sync/mutex.h"
#include "nlohmann/json.hpp"
#include "tests/chaos/cache_calls.h"
#include "tests/chaos/cache_model.h"

namespace slipstream::chaos {

inline constexpr int kMaxViolationsPrinted = 20;

struct Counts {
  std::atomic<int64_t> operations{0}, reads{0}, hits{0}, l1_hits{0}, calm_reads{0}, calm_l1_hits{0},
      misses{0}, fills{0}, fills_refused{0}, slow_fills_refused{0}, busy{0}, invalidated_keys{0},
      invalidated_groups{0}, deletes{0}, sets{0}, writes_sent_again{0}, keys_retired{0},
      reads_unanswered{0}, read_errors{0}, slow_reads{0}, violations{0};

  nlohmann::json ToJson() const {
    return {{"operations", operations.load()},
            {"reads", reads.load()},
            {"hits", hits.load()},
            {"l1_hits", l1_hits.load()},
            {"reads_outside_faults", calm_reads.load()},
            {"l1_hits_outside_faults", calm_l1_hits.load()},
            {"misses", misses.load()},
            {"fills", fills.load()},
            {"fills_refused", fills_refused.load()},
            {"slow_fills_refused", slow_fills_refused.load()},
            {"busy", busy.load()},
            {"invalidated_keys", invalidated_keys.load()},
            {"invalidated_groups", invalidated_groups.load()},
            {"deletes", deletes.load()},
            {"sets", sets.load()},
            {"writes_sent_again", writes_sent_again.load()},
            {"keys_retired", keys_retired.load()},
            {"reads_unanswered", reads_unanswered.load()},
            {"read_errors", read_errors.load()},
            {"slow_reads", slow_reads.load()},
            {"violations", violations.load()}};
  }
};

struct CheckerRun {
  const CacheCalls& calls;
  CacheModel& model;
  Counts counts;
  std::atomic<bool> stopping{false};
  std::atomic<bool> fault{false};
  sync::Mutex print_mu;

  void Print(const nlohmann::json& line) {
    sync::MutexLock lock(print_mu);
    std::cout << line.dump() << std::endl;
  }
  void Violation(const std::string& what) {
    if (counts.violations.fetch_add(1) < kMaxViolationsPrinted) Print({{"violation", what}});
  }
};

}  // namespace slipstream::chaos

#endif  // TESTS_CHAOS_CACHE_CHECKER_RUN_H_
