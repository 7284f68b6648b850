// The latest slow statements, each once however often it was looked at while it ran.
//
// Bounded: kMaxEntriesCount entries with a plan of at most 64 KiB and a statement of at most 4 KiB
// each: below 7 MB.
// Thread safety: all methods from any thread.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_SLOW_LOG_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_SLOW_LOG_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "libs/sync/mutex.h"
#include "slipstream/database_optimizer/v1/database_optimizer.pb.h"

namespace slipstream::database_optimizer {

class SlowLog {
 public:
  static constexpr size_t kMaxEntriesCount = 100;
  static constexpr size_t kMaxListedPlanBytes = 1 << 20;

  SlowLog(absl::Duration warning, absl::Duration critical)
      : warning_(warning), critical_(critical) {}

  // A run that is going on, named by its process and start.
  using RunKey = std::pair<int, int64_t>;
  bool Knows(const RunKey& run) const;
  // A run that is going on and is not known yet, seen in the look of that number at `now`. `entry`
  // has all but its severity.
  void Begin(const RunKey& run, v1::SlowQuery entry, int64_t look, absl::Time now);
  // It still goes on.
  void Continue(const RunKey& run, absl::Duration so_far, int64_t look);

  // A run that has ended, found in the figures. One of the shape that was seen running in
  // `earliest_look` or later is the same run: it gets its full time, and true is returned. Else
  // false, and the caller adds it by AddEnded.
  bool End(const std::string& fingerprint, absl::Duration duration, int64_t earliest_look);
  void AddEnded(v1::SlowQuery entry, absl::Time now);

  // Runs that the look before this one saw and this one does not, and that have no plan, for
  // instance because their table was locked while they waited; and a plan for one.
  std::vector<std::pair<RunKey, v1::SlowQuery>> EndedWithoutPlan(int64_t look) const;
  void AddPlan(const RunKey& run, std::string plan_json);

  // The plan of a run of that shape, noted since `earliest`; empty without one. So a shape's plan
  // is not captured again and again.
  std::string RecentPlan(const std::string& fingerprint, absl::Time earliest) const;

  // The latest first. Plans beyond kMaxListedPlanBytes together are left out, so that a list fits
  // into one message.
  std::vector<v1::SlowQuery> Latest(size_t limit_count) const;
  // Runs found since start that were slow, and those of them that were critical.
  int64_t slow_count() const;
  int64_t critical_count() const;

 private:
  struct Entry {
    RunKey run;  // {0, 0} for one that was never seen running
    v1::SlowQuery query;
    int64_t seen_look = 0;  // the latest that saw it running
    absl::Time noted_at;
    bool ended = false;  // it was found in the figures
  };
  void Rate(v1::SlowQuery& entry, bool is_new) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Push(Entry entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const absl::Duration warning_;
  const absl::Duration critical_;
  mutable sync::Mutex mutex_;
  std::list<Entry> entries_ ABSL_GUARDED_BY(mutex_);  // the latest first
  int64_t slow_count_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t critical_count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_SLOW_LOG_H_
