// QueueFigures: what happened here in the last minutes, for GetQueueStats and the metrics.
//
// Counts and times are kept in slots of kFiguresSlot over kFiguresWindow, so that a measurement
// costs the same however many there are, and those of all servers add up (FiguresSum). Failure
// groups are kept since start, bounded.
//
// Thread safety: all methods from any thread. What comes in batches takes the lock once a batch.
#ifndef SERVICES_TASK_QUEUE_QUEUE_FIGURES_H_
#define SERVICES_TASK_QUEUE_QUEUE_FIGURES_H_

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "libs/sync/mutex.h"
#include "services/task_queue/log_histogram.h"
#include "services/task_queue/task.h"
#include "services/task_queue/task_queue_metrics.h"

namespace slipstream::task_queue {

inline constexpr absl::Duration kFiguresSlot = absl::Seconds(10);
inline constexpr absl::Duration kFiguresWindow = absl::Minutes(5);
inline constexpr size_t kFiguresSlotsCount = 30;
inline constexpr size_t kMaxFailureGroupsCount = 100;

struct FailureGroup {
  std::string task_type;
  std::string reason;
  int64_t count = 0;
  absl::Time first_at, last_at;
  std::string example_task_id;  // of the last one
};

struct Figures {
  double submitted_per_second = 0;
  double finished_per_second = 0;
  Distribution wait, run;
  double success_ratio = 0;
  double retry_ratio = 0;
  std::vector<FailureGroup> failures;  // the most frequent first
  int64_t stale_refused_count = 0;     // since start
};

// Figures of one server or of several together.
struct FiguresSum {
  double submitted_per_second = 0, finished_per_second = 0;
  int64_t finished = 0, succeeded = 0, leased = 0, retried = 0;
  LogHistogram waits, runs;
  std::map<std::pair<std::string, std::string>, FailureGroup> failures;  // by type and reason
  int64_t stale_refused_count = 0;

  void Add(const FiguresSum& other);
  void Add(const FailureGroup& group);  // beyond kMaxFailureGroupsCount new ones are left out
  Figures Read() const;
};

class QueueFigures {
 public:
  QueueFigures(QueueSeries series, absl::Time now) : series_(std::move(series)), started_at_(now) {}

  void Submitted(std::string_view task_type, int64_t count, absl::Time now);
  void Refused(std::string_view reason);
  void Leased(std::span<const TaskRecord> tasks, absl::Time now);
  // After changes that ended an attempt or the task; the records are those after it. Others are
  // passed over.
  void Ended(std::span<const TaskRecord> tasks, absl::Time now);
  void LeaseLost(std::string_view reason);
  void StaleRefused(int64_t count);

  FiguresSum Sum(absl::Time now) const;

 private:
  struct Slot {
    int64_t at = -1;  // number of the slot since 1970
    int64_t submitted = 0, finished = 0, succeeded = 0, leased = 0, retried = 0;
    LogHistogram waits, runs;
  };

  Slot& At(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void NoteFailure(const TaskRecord& task, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const QueueSeries series_;
  const absl::Time started_at_;
  mutable sync::Mutex mu_;
  std::array<Slot, kFiguresSlotsCount> slots_ ABSL_GUARDED_BY(mu_) = {};
  std::map<std::pair<std::string, std::string>, FailureGroup> failures_ ABSL_GUARDED_BY(mu_);
  int64_t stale_refused_count_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_QUEUE_FIGURES_H_
