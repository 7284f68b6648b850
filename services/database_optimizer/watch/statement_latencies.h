// How long statements of each shape take, as seen by those that go through the pool: what
// pg_stat_statements, which keeps a mean and a maximum, cannot tell.
//
// Bounded: kMaxShapesCount shapes of about 450 bytes each, 450 KB; the one not seen for the longest
// makes room. A percentile is the upper edge of its bucket: 25 % above the truth at most, from 50
// us to 2 minutes.
//
// Thread safety: all methods from any thread.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_STATEMENT_LATENCIES_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_STATEMENT_LATENCIES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "libs/sync/mutex.h"

namespace slipstream::database_optimizer {

class StatementLatencies {
 public:
  static constexpr size_t kMaxShapesCount = 1000;

  // Runs from `slow` on are remembered with their trace, the latest of each shape.
  explicit StatementLatencies(absl::Duration slow = absl::Milliseconds(500)) : slow_(slow) {}

  void Observe(std::string_view fingerprint, absl::Duration duration,
               std::string_view trace_id = {});

  // The trace of the latest slow run of a shape, if that run took about `duration`; empty when it
  // did not.
  std::string TraceOf(std::string_view fingerprint, absl::Duration duration) const;
  // 95th percentile of a shape's runs; zero when none was seen.
  absl::Duration P95(std::string_view fingerprint) const;
  // Runs of all shapes since start.
  int64_t observed_count() const;

 private:
  static constexpr size_t kBucketsCount = 67;
  struct Shape {
    std::string fingerprint;
    std::array<uint32_t, kBucketsCount> buckets{};
    std::string slow_trace;
    absl::Duration slow_duration;
  };
  static size_t BucketOf(absl::Duration duration);
  static absl::Duration UpperEdge(size_t bucket);

  const absl::Duration slow_;
  mutable sync::Mutex mutex_;
  std::list<Shape> shapes_ ABSL_GUARDED_BY(mutex_);  // the latest first
  // By each shape's own text.
  absl::flat_hash_map<std::string_view, std::list<Shape>::iterator> by_fingerprint_
      ABSL_GUARDED_BY(mutex_);
  int64_t observed_count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_STATEMENT_LATENCIES_H_
