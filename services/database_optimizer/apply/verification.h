// Whether a change did harm: what the statements on its table cost before and after, from the
// counters of pg_stat_statements. Pure: no database, no clock.
//
// Harm is: the statements on the table together became slower by max_harm_percent, or one of them
// by twice that. Three things are no harm:
//   - what is within the noise: the difference must be three times its standard error (Welch);
//   - what happened to everybody: when the statements on other tables became slower too, by the
//     median of at least three of them, that much is taken off;
//   - a statement that does the same work, in blocks and in records of the log: a change that it
//     does not feel cannot have slowed it down.
// A single statement must also be slower by kLeastHarmMs a run, so that the microseconds an index
// adds to an insert, which were charged when it was chosen, count in the sum only.
//
// Thread safety: pure functions. Nothing fails.
#ifndef SERVICES_DATABASE_OPTIMIZER_APPLY_VERIFICATION_H_
#define SERVICES_DATABASE_OPTIMIZER_APPLY_VERIFICATION_H_

#include <map>
#include <set>
#include <string>

#include "services/database_optimizer/whatif/workload_reader.h"

namespace slipstream::database_optimizer {

inline constexpr double kLeastHarmMs = 0.1;

// By fingerprint.
using Counters = std::map<std::string, StatementCounters>;

// What happened between two readings; statements that did not run are not in it.
Counters Between(const Counters& from, const Counters& to);

struct VerificationOptions {
  int min_calls_count = 20;
  double max_harm_percent = 5;
};

struct Verdict {
  bool harmed = false;
  int statements_count = 0;  // on the table, with enough runs before and after
  int64_t calls_count = 0;   // of those, after
  // Weighted by the runs after.
  double mean_before_ms = 0, mean_after_ms = 0;
  std::string reason;  // which harm
};

// `on_table`: the statements that read or write the table.
Verdict Verify(const Counters& before, const Counters& after, const std::set<std::string>& on_table,
               const VerificationOptions& options);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_APPLY_VERIFICATION_H_
