// Where statistics of the database come from: the seam between the engine and PostgreSQL.
#ifndef SERVICES_DATABASE_OPTIMIZER_DATABASE_STATS_SOURCE_H_
#define SERVICES_DATABASE_OPTIMIZER_DATABASE_STATS_SOURCE_H_

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/async/async.h"
#include "slipstream/database_optimizer/v1/database_optimizer.pb.h"

namespace slipstream::database_optimizer {

// Thread safety: all methods from any coroutine.
class DatabaseStatsSource {
 public:
  virtual ~DatabaseStatsSource() = default;

  // At most `limit_count` entries per list. What cannot be read is named in `gaps`, and the rest is
  // given all the same. UNAVAILABLE POSTGRES_UNREACHABLE within `timeout`; RESOURCE_EXHAUSTED
  // POSTGRES_BUSY.
  virtual Async<absl::StatusOr<v1::GetStatsResponse>> Read(int limit_count,
                                                           absl::Duration timeout) = 0;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_DATABASE_STATS_SOURCE_H_
