// Which statements had a slow run since the last look, from the counters of pg_stat_statements
// alone: they keep a total, a count and a maximum per shape, so a slow run shows when it was longer
// than all before it, or when the runs since the last look are slow on average. A slow run among
// many quick ones that is no new maximum is not seen so; it may still be seen while it runs.
//
// Bounded: it remembers what the latest look gave and no more.
// Thread safety: one thread at a time.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_STATEMENT_DELTAS_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_STATEMENT_DELTAS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace slipstream::database_optimizer {

// Counters of one shape.
struct StatementTotals {
  std::string fingerprint;
  int64_t calls_count = 0;
  double total_ms = 0;
  double max_ms = 0;
};

// A run that was slow; its time is exact for a new maximum, else the mean of the runs since.
struct SlowRun {
  std::string fingerprint;
  absl::Duration duration;
};

class StatementDeltas {
 public:
  explicit StatementDeltas(absl::Duration slow) : slow_(slow) {}

  // `totals` holds every shape whose longest run was slow. The first look is what later ones are
  // compared with, and tells nothing.
  std::vector<SlowRun> Update(const std::vector<StatementTotals>& totals);

 private:
  const absl::Duration slow_;
  bool first_ = true;
  std::map<std::string, StatementTotals> before_;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_STATEMENT_DELTAS_H_
