// QueueFigures: what happened in the last minutes, for GetQueueStats and the metrics.
//
// Counts are kept per second over kFiguresWindow; percentiles are over the latest
// kMaxSamplesCount measurements of it. Failure groups are kept since start, bounded.
//
// Thread safety: all methods from any thread.
#ifndef SERVICES_TASK_QUEUE_QUEUE_FIGURES_H_
#define SERVICES_TASK_QUEUE_QUEUE_FIGURES_H_

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "libs/sync/mutex.h"
#include "services/task_queue/task.h"
#include "services/task_queue/task_queue_metrics.h"

namespace slipstream::task_queue {

inline constexpr absl::Duration kFiguresWindow = absl::Minutes(5);
inline constexpr size_t kMaxSamplesCount = 1024;
inline constexpr size_t kMaxFailureGroupsCount = 100;

struct Distribution {
  int64_t count = 0;
  double p50_ms = 0, p95_ms = 0, p99_ms = 0, max_ms = 0;
};

struct FailureGroup {
  std::string task_type;
  std::string reason;
  int64_t count = 0;
  absl::Time first_at, last_at;
  std::string example_task_id;
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

class QueueFigures {
 public:
  QueueFigures(QueueSeries series, absl::Time now) : series_(std::move(series)), started_at_(now) {}

  void Submitted(const TaskRecord& task, absl::Time now);
  void Refused(std::string_view reason);
  void Leased(const TaskRecord& task, absl::Time now);
  // After a change that ended an attempt or the task; `task` is the record after it.
  void Ended(const TaskRecord& task, absl::Time now);
  void LeaseLost(std::string_view reason);
  void StaleRefused();

  Figures Read(absl::Time now) const;

 private:
  struct Second {
    int64_t at = -1;  // Unix seconds
    int64_t submitted = 0, finished = 0, succeeded = 0, leased = 0, retried = 0;
  };
  using Samples = std::deque<std::pair<absl::Time, double>>;  // when, milliseconds

  Second& At(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  static void AddSample(Samples& samples, absl::Time now, absl::Duration value);
  static Distribution Distribute(const Samples& samples, absl::Time since);

  const QueueSeries series_;
  const absl::Time started_at_;
  mutable sync::Mutex mu_;
  std::array<Second, 300> seconds_ ABSL_GUARDED_BY(mu_) = {};
  Samples waits_ ABSL_GUARDED_BY(mu_);
  Samples runs_ ABSL_GUARDED_BY(mu_);
  std::map<std::pair<std::string, std::string>, FailureGroup> failures_ ABSL_GUARDED_BY(mu_);
  int64_t stale_refused_count_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_QUEUE_FIGURES_H_
