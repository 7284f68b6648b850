#include "services/database_optimizer/watch/statement_deltas.h"

#include <utility>

namespace slipstream::database_optimizer {

std::vector<SlowRun> StatementDeltas::Update(const std::vector<StatementTotals>& totals) {
  std::vector<SlowRun> out;
  std::map<std::string, StatementTotals> now;
  for (const StatementTotals& one : totals) {
    now[one.fingerprint] = one;
    if (first_) continue;
    StatementTotals before;
    if (const auto found = before_.find(one.fingerprint); found != before_.end()) {
      before = found->second;
      // The counters were reset: all that they say is new.
      if (one.calls_count < before.calls_count) before = StatementTotals();
    }
    if (one.calls_count <= before.calls_count) continue;
    double ms = one.max_ms;
    if (one.max_ms <= before.max_ms) {
      ms = (one.total_ms - before.total_ms) /
           static_cast<double>(one.calls_count - before.calls_count);
    }
    const absl::Duration duration = absl::Milliseconds(ms);
    if (duration >= slow_) out.push_back({one.fingerprint, duration});
  }
  before_ = std::move(now);
  first_ = false;
  return out;
}

}  // namespace slipstream::database_optimizer
