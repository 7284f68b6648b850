#include "libs/client/worker/worker.h"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace slipstream::worker_client {

namespace {

using task_queue::v1::WorkRequest;
using task_queue::v1::WorkResponse;

// The loop looks at the clock at least this often, so that a wall-clock surprise is bounded.
constexpr absl::Duration kMaxPumpSleep = absl::Seconds(30);
// How late a silent server may be noticed.
constexpr absl::Duration kSilenceLookInterval = absl::Milliseconds(250);

absl::Status Check(const WorkerOptions& options) {
  if (options.clock == nullptr || options.random == nullptr || !options.executor) {
    return absl::InvalidArgumentError("worker: executor, clock and random are required");
  }
  if (options.name.empty() || options.name.size() > 128) {
    return absl::InvalidArgumentError("worker: name has 1-128 bytes");
  }
  if (options.slots < 1 || options.slots > 10000) {
    return absl::InvalidArgumentError("worker: slots are 1-10,000");
  }
  if (options.tasks.empty() || options.tasks.size() > 100) {
    return absl::InvalidArgumentError("worker: 1-100 task types are announced");
  }
  std::set<std::string> names;
  for (const TaskRegistration& task : options.tasks) {
    if (task.type.name().empty() || !task.handler == !task.inline_handler) {
      return absl::InvalidArgumentError("worker: each task type has a name and one handler");
    }
    if (!names.insert(task.type.name()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("worker: task type ", task.type.name(), " is announced twice"));
    }
  }
  return absl::OkStatus();
}

WorkerSession::Options SessionOptions(const WorkerOptions& options) {
  WorkerSession::Options out;
  out.name = options.name;
  out.slots = options.slots;
  out.progress_interval = options.progress_interval;
  out.welcome_timeout = options.welcome_timeout;
  out.hand_back_timeout = options.hand_back_timeout;
  for (const TaskRegistration& task : options.tasks) out.types.push_back(task.type);
  return out;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Worker>> Worker::Create(WorkerOptions options,
                                                       StreamFactory streams) {
  if (absl::Status status = Check(options); !status.ok()) return status;
  return std::unique_ptr<Worker>(new Worker(std::move(options), std::move(streams)));
}

Worker::Worker(WorkerOptions options, StreamFactory streams)
    : options_(std::move(options)),
      streams_(std::move(streams)),
      session_(SessionOptions(options_)),
      scope_(options_.executor) {
  for (const TaskRegistration& task : options_.tasks) handlers_[task.type.name()] = &task;
}

Worker::~Worker() { Stop(); }

void Worker::Start() {
  {
    sync::MutexLock lock(mutex_);
    if (started_) return;
    started_ = true;
  }
  scope_.Spawn([this] { return RunStreams(); });
  scope_.Spawn([this] { return Pump(); });
  scope_.Spawn([this] { return LeaveSilentServers(); });
}

void Worker::Drain(absl::Time deadline) {
  const absl::Duration left = std::max(deadline - options_.clock->Now(), absl::ZeroDuration());
  {
    sync::MutexLock lock(mutex_);
    if (!started_ || stopping_) return;
    session_.Drain(options_.clock->Monotonic() + left);
  }
  wake_.Notify();
  sync::MutexLock lock(mutex_);
  while (!drained_ && !stopping_) drained_signal_.Wait(mutex_);
}

void Worker::Stop() {
  std::shared_ptr<WorkerStream> stream;
  std::vector<std::shared_ptr<TaskContext>> running;
  {
    sync::MutexLock lock(mutex_);
    stopping_ = true;
    stream = stream_;
    for (const auto& [key, context] : running_) running.push_back(context);
    drained_signal_.SignalAll();
  }
  scope_.RequestStop();
  for (const auto& context : running) context->Cancel(kDrain);
  if (stream != nullptr) stream->Cancel();
  wake_.Notify();
  scope_.Close();
}

bool Worker::connected() const {
  sync::MutexLock lock(mutex_);
  return session_.online();
}

WorkerStats Worker::stats() const {
  sync::MutexLock lock(mutex_);
  return session_.stats();
}

Async<void> Worker::RunStreams() {
  absl::Duration backoff = options_.min_backoff;
  while (!scope_.stop_requested()) {
    bool welcomed = false;
    co_await RunOneStream(&welcomed);
    if (welcomed) backoff = options_.min_backoff;
    {
      sync::MutexLock lock(mutex_);
      if (drained_) co_return;
    }
    if (!co_await scope_.SleepFor(NextBackoff(&backoff))) co_return;
  }
}

Async<void> Worker::RunOneStream(bool* welcomed) {
  auto opened = streams_();
  if (!opened.ok()) {
    LogDisconnect(opened.status());
    co_return;
  }
  const std::shared_ptr<WorkerStream> stream = *std::move(opened);
  std::string hello;
  bool stop;
  {
    sync::MutexLock lock(mutex_);
    hello = session_.Hello(options_.clock->Monotonic()).SerializeAsString();
    // Before the hello is written, which finds no room at a server that stands still: it is given
    // up all the same. Nobody else writes before the welcome.
    stream_ = stream;
    stop = stopping_;
  }
  // A Stop before the stream was known could not cancel it.
  if (stop) stream->Cancel();
  // The reply is only looked at by the reader: a stream that broke at once ends there too.
  co_await stream->Write(std::move(hello));
  wake_.Notify();
  while (auto response = co_await stream->Read()) {
    Actions actions;
    {
      sync::MutexLock lock(mutex_);
      const absl::Duration now = options_.clock->Monotonic();
      session_.OnResponse(std::move(response), now, options_.clock->Now());
      actions = TakeTaskActions(now);
      if (!*welcomed && session_.online()) {
        *welcomed = true;
        logged_code_ = absl::StatusCode::kOk;
        options_.logger.Info("connected to the task queue",
                             {{"session_id", session_.session_id()}});
      }
    }
    // Here and not in the pump: a cancel is not held up by a stream that takes no messages.
    Perform(std::move(actions));
    wake_.Notify();
  }
  {
    sync::MutexLock lock(mutex_);
    session_.OnDisconnected();
    stream_ = nullptr;
  }
  wake_.Notify();
  LogDisconnect(stream->status());
}

// Once per kind of end, not once per try.
void Worker::LogDisconnect(const absl::Status& status) {
  if (scope_.stop_requested() || status.code() == logged_code_) return;
  logged_code_ = status.code();
  options_.logger.Warning("no stream to the task queue; trying again", {{"error", status}});
}

absl::Duration Worker::NextBackoff(absl::Duration* backoff) {
  const absl::Duration wait = *backoff * (0.5 + 0.5 * options_.random->NextDouble());
  *backoff = std::min(*backoff * 2, options_.max_backoff);
  return wait;
}

Async<void> Worker::Pump() {
  for (;;) {
    const uint64_t version = wake_.version();
    Actions tasks;
    WorkerSession::StreamActions actions;
    std::shared_ptr<WorkerStream> stream;
    absl::Duration wait;
    bool done;
    {
      sync::MutexLock lock(mutex_);
      const absl::Duration now = options_.clock->Monotonic();
      stream = stream_;
      tasks = TakeTaskActions(now);
      if (stream != nullptr) actions = session_.TakeStreamActions(now);
      wait = session_.NextDue() - now;
      done = stopping_ || session_.Drained(now);
      if (done) {
        drained_ = true;
        drained_signal_.SignalAll();
      }
    }
    Perform(std::move(tasks));
    const bool sends = !actions.send.empty();
    for (std::string& request : actions.send) {
      if (!co_await stream->Write(std::move(request))) break;
    }
    if (actions.finish) stream->Finish();
    if (done && stream != nullptr && !actions.finish) stream->Cancel();
    if (done) co_return;
    // What is reported meanwhile goes as one message.
    if (sends && options_.report_interval > absl::ZeroDuration()) {
      co_await scope_.SleepFor(options_.report_interval);
      continue;
    }
    wait = std::clamp(wait, absl::ZeroDuration(), kMaxPumpSleep);
    const boost::asio::steady_timer timer(options_.executor, absl::ToChronoNanoseconds(wait));
    co_await wake_.Wait(version, timer.expiry());
  }
}

// Apart from the pump, which such a server may hold in a write that it does not read.
Async<void> Worker::LeaveSilentServers() {
  absl::Duration looked = options_.clock->Monotonic();
  while (co_await scope_.SleepFor(kSilenceLookInterval)) {
    std::shared_ptr<WorkerStream> silent;
    {
      sync::MutexLock lock(mutex_);
      if (drained_) co_return;
      // One that comes late itself (busy threads, a stopped process) cannot say that nothing has
      // come: the reader has its turn first.
      const absl::Duration now = options_.clock->Monotonic();
      const bool late = now > std::exchange(looked, now) + 2 * kSilenceLookInterval;
      if (!late && now >= session_.GiveUpAt()) silent = stream_;
    }
    if (silent != nullptr) silent->Cancel();
  }
}

// Contexts are made and found under the lock that the actions were taken under: a stop that another
// coroutine takes right after a start finds the task.
Worker::Actions Worker::TakeTaskActions(absl::Duration now) {
  WorkerSession::TaskActions taken = session_.TakeTaskActions(now);
  Actions actions;
  for (auto& [key, reason] : taken.stop) {
    if (auto it = running_.find(key); it != running_.end()) {
      actions.stop.emplace_back(it->second, std::move(reason));
    }
  }
  actions.start.reserve(taken.start.size());
  for (const WorkerSession::AssignmentPtr& assignment : taken.start) {
    auto attempt = std::make_shared<Attempt>(this, *assignment);
    if (stopping_) attempt->context.Cancel(kDrain);
    attempt->args = std::shared_ptr<const TaskArgs>(assignment, &assignment->args());
    // One that runs inline is over before anybody could stop it.
    if (!IsInline(assignment->task_type())) {
      running_[attempt->key()] = std::shared_ptr<TaskContext>(attempt, &attempt->context);
    }
    actions.start.push_back(std::move(attempt));
  }
  actions.refusals = std::move(taken.refusals);
  return actions;
}

void Worker::Perform(Actions actions) {
  for (const auto& [context, reason] : actions.stop) context->Cancel(reason);
  RunInline(&actions.start);
  for (const std::shared_ptr<Attempt>& attempt : actions.start) {
    // It may take long: a copy does not keep the whole message that it came in.
    attempt->args = std::make_shared<const TaskArgs>(*attempt->args);
    scope_.Spawn([this, attempt] { return RunTask(attempt); });
  }
  for (const WorkerSession::Refusal& refusal : actions.refusals) {
    options_.logger.Warning("the task queue refused a report", {{"task_id", refusal.key.task_id},
                                                                {"lease_epoch", refusal.key.epoch},
                                                                {"error", refusal.error}});
  }
}

}  // namespace slipstream::worker_client
