// The plan of a statement that somebody else runs, without running it: EXPLAIN, never ANALYZE.
//
// Thread safety: that of the connection: one thread at a time. It blocks for kCaptureTimeout at
// most.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_PLAN_CAPTURE_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_PLAN_CAPTURE_H_

#include <string>

#include "absl/time/time.h"
#include "libs/postgres/connection.h"

namespace slipstream::database_optimizer {

inline constexpr size_t kMaxPlanBytes = 65536;
inline constexpr absl::Duration kCaptureTimeout = absl::Seconds(1);
// An EXPLAIN needs the weakest lock on each table, and waits for no longer than this for it.
inline constexpr absl::Duration kCaptureLockTimeout = absl::Milliseconds(100);

struct CapturedPlan {
  std::string plan_json;  // constants replaced; empty when there is none
  std::string missing;    // why not
};

// `statement` as pg_stat_activity or pg_stat_statements shows it. One with parameters gets its
// generic plan. `cut_off`: the server shows only its beginning.
CapturedPlan CapturePlan(postgres::Connection& connection, const std::string& statement,
                         bool cut_off);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_PLAN_CAPTURE_H_
