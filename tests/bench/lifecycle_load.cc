#include "tests/bench/lifecycle_load.h"

#include <algorithm>
#include <utility>

namespace slipstream::bench {

namespace v1 = task_queue::v1;

namespace {

constexpr int64_t kMinReadBackoffNs = 2'000'000;
constexpr int64_t kMaxReadBackoffNs = 50'000'000;
constexpr int64_t kStuckNs = 30'000'000'000;

}  // namespace

nlohmann::json LifecycleLoad::Run() {
  const double cpu = CpuSeconds();
  begin_ns_ = NowNs();
  {
    sync::MutexLock lock(mu_);
    last_ns_ = begin_ns_;
  }
  for (;;) {
    Pump();
    sync::MutexLock lock(mu_);
    if (done_ + errors_ >= options_.tasks && submitting_ + reading_ == 0) break;
    if (NowNs() - last_ns_ > kStuckNs) {
      Fail(absl::DeadlineExceededError("nothing has moved for 30 s"));
      break;
    }
    const auto tick = options_.rate > 0 ? absl::Microseconds(200) : absl::Milliseconds(1);
    (void)changed_.WaitFor(mu_, tick);
  }
  sync::MutexLock lock(mu_);
  const double seconds = static_cast<double>(last_ns_ - begin_ns_) / 1e9;
  return {{"tasks", options_.tasks},
          {"done", done_},
          {"wrong", wrong_},
          {"errors", errors_},
          {"first_error", first_error_},
          {"seconds", seconds},
          {"lifecycles_per_second", static_cast<double>(done_) / seconds},
          {"reads", reads_total_},
          {"read_ids", read_ids_total_},
          {"late_max_ms", static_cast<double>(late_max_ns_) / 1e6},
          {"cpu_s", CpuSeconds() - cpu}};
}

void LifecycleLoad::Pump() {
  for (;;) {
    int64_t first = 0;
    int64_t at_ns = 0;
    int count = 0;
    Read read;
    bool submits = false;
    bool reads = false;
    {
      sync::MutexLock lock(mu_);
      const int64_t now_ns = NowNs();
      submits = TakeSubmit(now_ns, &first, &count, &at_ns);
      reads = TakeRead(now_ns, &read);
    }
    if (!submits && !reads) return;
    if (submits) Submit(first, count, at_ns);
    if (reads) BulkGet(std::move(read));
  }
}

bool LifecycleLoad::TakeSubmit(int64_t now_ns, int64_t* first, int* count, int64_t* at_ns) {
  if (next_ >= options_.tasks || submitting_ >= options_.submits) return false;
  const int64_t outstanding = next_ - done_ - errors_;
  *count = static_cast<int>(std::min<int64_t>(options_.batch, options_.tasks - next_));
  if (outstanding > 0 && outstanding + *count > options_.window) return false;
  *at_ns = now_ns;
  if (options_.rate > 0) {
    // The last task of a bulk says when the bulk is due: none is sent before its time.
    *at_ns = begin_ns_ + static_cast<int64_t>(static_cast<double>(next_) / options_.rate * 1e9);
    if (now_ns < *at_ns) return false;
    late_max_ns_ = std::max(late_max_ns_, now_ns - *at_ns);
  }
  *first = next_;
  next_ += *count;
  ++submitting_;
  return true;
}

bool LifecycleLoad::TakeRead(int64_t now_ns, Read* out) {
  if (!options_.read_back || reading_ >= options_.reads) return false;
  const bool last = accepted_ + errors_ >= options_.tasks;
  int best = -1;
  for (int i = 0; i < 4; ++i) {
    const Lane& lane = lanes_[static_cast<size_t>(i)];
    if (lane.reading || lane.unread.empty() || now_ns < lane.not_before_ns) continue;
    // A bulk is worth waiting for; with a schedule to keep, half a bulk is.
    const size_t enough = options_.rate == 0 ? task_queue_client::kMaxBulkCount + lane.lag : 50;
    if (lane.unread.size() < enough && !last) {
      continue;
    }
    if (best < 0 || lane.unread.size() > lanes_[static_cast<size_t>(best)].unread.size()) {
      best = i;
    }
  }
  if (best < 0) return false;
  Lane& lane = lanes_[static_cast<size_t>(best)];
  out->lane = best;
  while (!lane.unread.empty() && out->asked.size() < task_queue_client::kMaxBulkCount) {
    out->asked.push_back(std::move(lane.unread.front()));
    lane.unread.pop_front();
  }
  lane.reading = true;
  ++reading_;
  ++reads_total_;
  read_ids_total_ += static_cast<int64_t>(out->asked.size());
  return true;
}

void LifecycleLoad::Submit(int64_t first, int count, int64_t at_ns) {
  v1::BulkSubmitTasksRequest request;
  request.mutable_tasks()->Reserve(count);
  for (int i = 0; i < count; ++i) {
    MakeTask(first + i, options_.stamped ? at_ns : 0, request.add_tasks());
  }
  clients_.Next().BulkSubmitThen(
      call_, request, [this, first, count](const absl::Status& status, const auto& response) {
        OnSubmitted(first, count, status, response);
        Pump();
      });
}

void LifecycleLoad::OnSubmitted(int64_t first, int count, const absl::Status& status,
                                const v1::BulkSubmitTasksResponse& response) {
  sync::MutexLock lock(mu_);
  --submitting_;
  last_ns_ = NowNs();
  if (!status.ok() || response.results_size() != count) {
    errors_ += count;
    return Fail(status.ok() ? absl::InternalError("a bulk has another number of results") : status);
  }
  for (int i = 0; i < count; ++i) {
    const auto& result = response.results(i);
    if (!result.has_task()) {
      ++errors_;
      Fail(absl::InternalError(result.error().message()));
      continue;
    }
    ++accepted_;
    if (!options_.read_back) {
      ++done_;
      continue;
    }
    lanes_[static_cast<size_t>(PriorityOf(first + i))].unread.push_back(
        {result.task().task_id(), first + i});
  }
  changed_.SignalAll();
}

void LifecycleLoad::BulkGet(Read read) {
  v1::BulkGetTasksRequest request;
  request.mutable_task_ids()->Reserve(static_cast<int>(read.asked.size()));
  for (const Sent& sent : read.asked) request.add_task_ids(sent.id);
  clients_.Next().BulkGetThen(
      call_, request,
      [this, read = std::move(read)](const absl::Status& status, const auto& response) mutable {
        OnRead(std::move(read), status, response);
        Pump();
      });
}

void LifecycleLoad::OnRead(Read read, const absl::Status& status,
                           const v1::BulkGetTasksResponse& response) {
  sync::MutexLock lock(mu_);
  --reading_;
  Lane& lane = lanes_[static_cast<size_t>(read.lane)];
  lane.reading = false;
  const int64_t now_ns = NowNs();
  std::vector<Sent> unfinished;
  if (!status.ok()) {
    Fail(status);
    unfinished = std::move(read.asked);
  } else {
    int at = 0;  // answers come in the order asked, without those that are missing
    for (Sent& sent : read.asked) {
      if (at >= response.tasks_size() || response.tasks(at).task_id() != sent.id) {
        ++errors_;
        Fail(absl::NotFoundError("a submitted task is missing"));
        continue;
      }
      const v1::Task& task = response.tasks(at++);
      if (task.status() == v1::Task::SUCCEEDED) {
        ++done_;
        last_ns_ = now_ns;
        if (!IsResultOf(sent.number, task)) ++wrong_;
      } else if (task.status() == v1::Task::PENDING || task.status() == v1::Task::RUNNING ||
                 task.status() == v1::Task::SCHEDULED) {
        unfinished.push_back(std::move(sent));
      } else {
        ++errors_;
        Fail(absl::InternalError(task.error().message()));
      }
    }
  }
  if (unfinished.empty()) {
    lane.backoff_ns = 0;
    lane.not_before_ns = 0;
    lane.lag -= std::min<size_t>(lane.lag, 5);
  } else {
    lane.lag = std::min(lane.lag + 50, static_cast<size_t>(options_.window) / 8);
    lane.backoff_ns = std::clamp(lane.backoff_ns * 2, kMinReadBackoffNs, kMaxReadBackoffNs);
    lane.not_before_ns = now_ns + lane.backoff_ns;
    for (auto it = unfinished.rbegin(); it != unfinished.rend(); ++it) {
      lane.unread.push_front(std::move(*it));
    }
  }
  changed_.SignalAll();
}

void LifecycleLoad::Fail(const absl::Status& status) {
  if (first_error_.empty()) first_error_ = status.ToString();
}

}  // namespace slipstream::bench
