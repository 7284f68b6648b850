#include "libs/postgres/client.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/async/deadline.h"
#include "libs/async/event.h"
#include "libs/status/status.h"
#include "libs/sync/mutex.h"

namespace slipstream::postgres {

namespace {

struct Job {
  std::function<absl::Status(Connection&)> run;
  async::Event ended;
  // Below: guarded by the client's mutex.
  std::optional<absl::Status> result;
  bool abandoned = false;
};

absl::Status Stopping() {
  return status::Error(absl::StatusCode::kUnavailable, kUnreachable,
                       "the process is ending; try again at another one");
}

}  // namespace

struct Client::Impl {
  struct Slot {
    std::shared_ptr<Job> job;                // running now
    std::shared_ptr<Connection> connection;  // null: none is open
  };

  explicit Impl(ClientOptions o) : options(std::move(o)) {
    options.threads_count = std::clamp(options.threads_count, 1, 256);
    slots.resize(options.threads_count);
    for (int i = 0; i < options.threads_count; ++i) {
      threads.emplace_back([this, i] { Work(i); });
    }
  }

  // The next job that somebody still waits for; null when the client stops.
  std::shared_ptr<Job> Take(int index) {
    sync::MutexLock lock(mutex);
    for (;;) {
      while (queue.empty() && !stopping) changed.Wait(mutex);
      if (stopping) return nullptr;
      auto job = std::move(queue.front());
      queue.pop_front();
      if (job->abandoned) continue;
      slots[index].job = job;
      ++figures.acquired_count;
      return job;
    }
  }

  std::shared_ptr<Connection> Kept(int index) {
    sync::MutexLock lock(mutex);
    return slots[index].connection;
  }
  void Keep(int index, std::shared_ptr<Connection> connection) {
    std::shared_ptr<Connection> old;  // closed outside the lock
    sync::MutexLock lock(mutex);
    old = std::move(slots[index].connection);
    if (old != nullptr) ++figures.broken_count;
    slots[index].connection = std::move(connection);
  }

  absl::Status RunOnce(int index, Job& job, bool* kept) {
    auto connection = Kept(index);
    *kept = connection != nullptr;
    if (connection == nullptr) {
      auto opened = Connection::Open(options.connection);
      if (!opened.ok()) return opened.status();
      connection = *std::move(opened);
      Keep(index, connection);
      // From here on Abandon and Stop find the connection and cut it; what they did before counts.
      if (!Wanted(job)) return Stopping();
    }
    absl::Status status = job.run(*connection);
    if (status::Reason(status) == kUnreachable) Keep(index, nullptr);
    return status;
  }

  void Work(int index) {
    while (auto job = Take(index)) {
      bool kept = false;
      absl::Status status = RunOnce(index, *job, &kept);
      if (kept && options.retry_broken && status::Reason(status) == kUnreachable && Wanted(*job)) {
        status = RunOnce(index, *job, &kept);
      }
      {
        sync::MutexLock lock(mutex);
        slots[index].job = nullptr;
        job->result = std::move(status);
      }
      job->ended.Notify();
    }
  }

  bool Wanted(const Job& job) {
    sync::MutexLock lock(mutex);
    return !job.abandoned && !stopping;
  }

  absl::Status Push(const std::shared_ptr<Job>& job) {
    sync::MutexLock lock(mutex);
    if (stopping) return Stopping();
    if (queue.size() >= options.max_waiting_count) {
      ++figures.acquire_timeouts_count;
      return Busy();
    }
    queue.push_back(job);
    changed.Signal();
    return absl::OkStatus();
  }

  // The timeout is over: what the job's caller hears.
  absl::Status Abandon(const std::shared_ptr<Job>& job, absl::Duration timeout) {
    sync::MutexLock lock(mutex);
    if (job->result) return *job->result;
    job->abandoned = true;
    for (auto& slot : slots) {
      if (slot.job != job) continue;
      if (slot.connection != nullptr) slot.connection->Abort();
      return status::Error(
          absl::StatusCode::kUnavailable, kUnreachable,
          absl::StrCat("PostgreSQL did not answer within ",
                       absl::FormatDuration(absl::Trunc(timeout, absl::Milliseconds(1))),
                       "; check that it runs and is reachable"));
    }
    queue.erase(std::remove(queue.begin(), queue.end(), job), queue.end());
    ++figures.acquire_timeouts_count;
    return Busy();
  }

  absl::Status Busy() const {
    return status::Error(absl::StatusCode::kResourceExhausted, kBusy,
                         absl::StrCat("all ", options.threads_count,
                                      " connections to PostgreSQL are busy; try again later, or "
                                      "raise runtime.blocking_threads_count"));
  }

  void Stop() {
    std::deque<std::shared_ptr<Job>> left;
    {
      sync::MutexLock lock(mutex);
      if (stopping) return;
      stopping = true;
      left.swap(queue);
      for (auto& job : left) job->result = Stopping();
      for (auto& slot : slots) {
        if (slot.job != nullptr && slot.connection != nullptr) slot.connection->Abort();
      }
      changed.SignalAll();
    }
    for (auto& job : left) job->ended.Notify();
    for (auto& thread : threads) thread.join();
  }

  ClientOptions options;
  mutable sync::Mutex mutex;
  sync::CondVar changed;
  std::deque<std::shared_ptr<Job>> queue ABSL_GUARDED_BY(mutex);
  std::vector<Slot> slots ABSL_GUARDED_BY(mutex);
  ClientFigures figures ABSL_GUARDED_BY(mutex);
  bool stopping ABSL_GUARDED_BY(mutex) = false;
  std::vector<std::thread> threads;  // last: they use all of the above
};

Client::Client(ClientOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Client::~Client() { Stop(); }

void Client::Stop() { impl_->Stop(); }

const ClientOptions& Client::options() const { return impl_->options; }

ClientFigures Client::figures() const {
  sync::MutexLock lock(impl_->mutex);
  ClientFigures out = impl_->figures;
  out.waiting_count = static_cast<int>(impl_->queue.size());
  for (const auto& slot : impl_->slots) {
    out.open_connections_count += slot.connection != nullptr;
    out.busy_connections_count += slot.job != nullptr;
  }
  return out;
}

Async<absl::Status> Client::RunJob(absl::Duration timeout,
                                   std::function<absl::Status(Connection&)> run) {
  auto job = std::make_shared<Job>();
  job->run = std::move(run);
  const uint64_t version = job->ended.version();
  const auto deadline = async::After(timeout);
  if (absl::Status refused = impl_->Push(job); !refused.ok()) co_return refused;
  co_await job->ended.Wait(version, deadline);
  co_return impl_->Abandon(job, timeout);
}

}  // namespace slipstream::postgres
