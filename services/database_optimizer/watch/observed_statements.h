// Where the pool says what it ran: one call per statement, for N+1 patterns and latencies.
//
// Thread safety: all methods from any thread.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_OBSERVED_STATEMENTS_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_OBSERVED_STATEMENTS_H_

#include <string_view>

#include "absl/time/time.h"
#include "libs/clock/clock.h"
#include "services/database_optimizer/watch/n_plus_one_detector.h"
#include "services/database_optimizer/watch/statement_latencies.h"

namespace slipstream::database_optimizer {

class ObservedStatements {
 public:
  // The clock outlives this. `slow`: what counts as slow.
  ObservedStatements(const clock::Clock& clock, int n_plus_one_count,
                     absl::Duration slow = absl::Milliseconds(500))
      : since_(clock.Now()), n_plus_one_(clock, n_plus_one_count), latencies_(slow) {}

  // `fingerprint` as Fingerprint() of statement_parse.h gives it.
  void Observe(std::string_view trace_id, std::string_view fingerprint, std::string_view statement,
               absl::Duration duration, std::string_view caller) {
    latencies_.Observe(fingerprint, duration, trace_id);
    n_plus_one_.Observe(trace_id, fingerprint, statement, duration, caller);
  }

  absl::Time since() const { return since_; }
  const NPlusOneDetector& n_plus_one() const { return n_plus_one_; }
  const StatementLatencies& latencies() const { return latencies_; }

 private:
  const absl::Time since_;
  NPlusOneDetector n_plus_one_;
  StatementLatencies latencies_;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_OBSERVED_STATEMENTS_H_
