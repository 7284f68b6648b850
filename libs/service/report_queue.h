// One kind of report on its way to monitoring: a bounded queue, sent in batches.
//
// When it is full the oldest reports make room. A batch that monitoring does not take now is tried
// again; what it refuses, or does not take for kMaxTriesCount flushes, is dropped. Dropped reports
// are counted, and an outage is one line in the log.
//
// Thread safety: Push from any thread; Flush by one coroutine at a time.
#ifndef LIBS_SERVICE_REPORT_QUEUE_H_
#define LIBS_SERVICE_REPORT_QUEUE_H_

#include <algorithm>
#include <cstddef>
#include <deque>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/async/async.h"
#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/metrics/registry.h"
#include "libs/sync/mutex.h"

namespace slipstream::service {

// Half a minute of flushes: a restart of monitoring loses nothing.
inline constexpr int kMaxTriesCount = 60;

// Hands a batch over. The batch lives until the coroutine ends.
template <class T>
using SendBatch =
    std::function<Async<absl::Status>(const std::vector<T>& batch, absl::Duration timeout)>;

struct ReportQueueOptions {
  std::string kind;  // for the log
  size_t max_count = 0;
  size_t max_batch_count = 0;
  // Taking a report twice does no harm, so one whose fate is unknown is sent again.
  bool idempotent = false;
};

template <class T>
class ReportQueue {
 public:
  ReportQueue(ReportQueueOptions options, SendBatch<T> send, metrics::Counter dropped,
              const clock::Clock& clock, logging::Logger logger)
      : options_(std::move(options)),
        send_(std::move(send)),
        dropped_(dropped),
        clock_(clock),
        logger_(std::move(logger)) {}

  void Push(T item) {
    size_t lost_count = 0;
    {
      sync::MutexLock lock(mutex_);
      items_.push_back(std::move(item));
      lost_count = Trim();
    }
    if (lost_count > 0) Drop(lost_count, "the queue is full");
  }

  // Sends batch after batch until the queue is empty, one is not taken, or `timeout` is over.
  Async<void> Flush(absl::Duration timeout) {
    const absl::Duration end = clock_.Monotonic() + timeout;
    for (absl::Duration left = timeout; left > absl::ZeroDuration();
         left = end - clock_.Monotonic()) {
      const std::vector<T> batch = Take();
      if (batch.empty()) co_return;
      const absl::Status status = co_await send_(batch, left);
      if (status.ok()) {
        tries_count_ = 0;
        sync::MutexLock lock(mutex_);
        complained_ = false;
        continue;
      }
      if (WorthAnotherTry(status) && ++tries_count_ < kMaxTriesCount) {
        PutBack(batch);
        co_return;
      }
      tries_count_ = 0;
      Drop(batch.size(), std::string(status.message()));
      co_return;
    }
  }

  size_t size() const {
    sync::MutexLock lock(mutex_);
    return items_.size();
  }

 private:
  bool WorthAnotherTry(const absl::Status& status) const {
    return absl::IsUnavailable(status) || absl::IsResourceExhausted(status) ||
           (options_.idempotent && absl::IsDeadlineExceeded(status));
  }

  std::vector<T> Take() {
    sync::MutexLock lock(mutex_);
    const auto end = items_.begin() +
                     static_cast<std::ptrdiff_t>(std::min(items_.size(), options_.max_batch_count));
    std::vector<T> batch(std::make_move_iterator(items_.begin()), std::make_move_iterator(end));
    items_.erase(items_.begin(), end);
    return batch;
  }

  void PutBack(const std::vector<T>& batch) {
    size_t lost_count = 0;
    {
      sync::MutexLock lock(mutex_);
      items_.insert(items_.begin(), batch.begin(), batch.end());
      lost_count = Trim();
    }
    if (lost_count > 0) Drop(lost_count, "the queue is full");
  }

  size_t Trim() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    size_t lost_count = 0;
    for (; items_.size() > options_.max_count; ++lost_count) items_.pop_front();
    return lost_count;
  }

  void Drop(size_t count, std::string_view cause) {
    dropped_.Increment(count);
    {
      sync::MutexLock lock(mutex_);
      if (std::exchange(complained_, true)) return;
    }
    logger_.Warning("reports to monitoring are lost; the series counts them",
                    {{"kind", options_.kind}, {"cause", cause}});
  }

  const ReportQueueOptions options_;
  const SendBatch<T> send_;
  const metrics::Counter dropped_;
  const clock::Clock& clock_;
  const logging::Logger logger_;
  int tries_count_ = 0;  // Flush's: of the batch at the front
  mutable sync::Mutex mutex_;
  std::deque<T> items_ ABSL_GUARDED_BY(mutex_);
  bool complained_ ABSL_GUARDED_BY(mutex_) = false;  // until a batch is taken again
};

}  // namespace slipstream::service

#endif  // LIBS_SERVICE_REPORT_QUEUE_H_
