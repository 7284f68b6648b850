// Finds statements that one request runs again and again (N+1): the same shape many times within
// one trace.
//
// Bounded memory: at most kMaxTracesCount traces (the one that has been quiet for the longest makes
// room), kMaxShapesPerTrace shapes each, and kMaxPatternsCount patterns (the one not seen for the
// longest makes room). A trace costs at most about kMaxShapesPerTrace * 48 bytes and a pattern
// about 5 KB, so all is below 9 MB; with the usual few shapes per trace it is below 1.5 MB.
//
// A pattern is reported while its trace still runs, as soon as the threshold is reached.
//
// Thread safety: all methods from any thread; Observe takes one lock for a hash look-up, about a
// microsecond.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_N_PLUS_ONE_DETECTOR_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_N_PLUS_ONE_DETECTOR_H_

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "libs/clock/clock.h"
#include "libs/sync/mutex.h"
#include "slipstream/database_optimizer/v1/database_optimizer.pb.h"

namespace slipstream::database_optimizer {

class NPlusOneDetector {
 public:
  static constexpr size_t kMaxTracesCount = 2000;
  static constexpr size_t kMaxShapesPerTrace = 64;
  static constexpr size_t kMaxPatternsCount = 200;

  // `threshold_count`: so many runs of one shape within one trace are a pattern; at least 2. The
  // clock outlives this.
  NPlusOneDetector(const clock::Clock& clock, int threshold_count);

  // One run of a statement. Without a trace or a fingerprint it says nothing and is left out.
  // `statement` is shown with its constants replaced; `caller` is a method or component.
  void Observe(std::string_view trace_id, std::string_view fingerprint, std::string_view statement,
               absl::Duration duration, std::string_view caller);

  // The most repeated first.
  std::vector<v1::NPlusOnePattern> Patterns(size_t limit_count) const;
  // Distinct traces seen since start.
  int64_t traces_count() const;

 private:
  struct Runs {
    uint64_t shape = 0;  // the fingerprint
    int64_t count = 0;
    absl::Duration total;
  };
  struct Trace {
    std::string id;
    std::vector<Runs> runs;  // mostly of one shape
  };
  using Traces = std::list<Trace>;                     // the latest first
  using PatternList = std::list<v1::NPlusOnePattern>;  // the latest first

  Trace& FindTrace(std::string_view trace_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Null: the trace has as many shapes as it may have.
  static Runs* FindRuns(Trace& trace, uint64_t shape);
  v1::NPlusOnePattern& FindPattern(uint64_t shape) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const clock::Clock& clock_;
  const int64_t threshold_count_;
  mutable sync::Mutex mutex_;
  Traces traces_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string_view, Traces::iterator> by_id_ ABSL_GUARDED_BY(mutex_);
  PatternList patterns_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<uint64_t, PatternList::iterator> by_shape_ ABSL_GUARDED_BY(mutex_);
  int64_t traces_count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_N_PLUS_ONE_DETECTOR_H_
