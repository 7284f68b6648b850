// The worker over a scripted stream: handlers run, streams break, drains end. Time is a fake
// clock's; waits are for events, with a limit.
#include "libs/client/worker/worker.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <stdexcept>
#include <thread>

#include "libs/async/runtime.h"
#include "libs/clock/fake_clock.h"
#include "libs/rpc/arena_messages.h"
#include "libs/status/status.h"

namespace slipstream::worker_client {
namespace {

using task_queue::v1::WorkRequest;
using task_queue::v1::WorkResponse;

// A stream whose server is the test.
class ScriptedStream final : public WorkerStream {
 public:
  Async<bool> Write(std::string message) override {
    for (;;) {
      const uint64_t version = event_.version();
      {
        sync::MutexLock lock(mutex_);
        if (ended_ || !full_) break;
        held_ = true;
        changed_.SignalAll();
      }
      co_await event_.Wait(version);
    }
    sync::MutexLock lock(mutex_);
    if (ended_) co_return false;
    WorkRequest request;
    EXPECT_TRUE(request.ParseFromString(message));
    if (request.has_batch()) {
      for (const WorkRequest& one : request.batch().requests()) sent_.push_back(one);
    } else {
      sent_.push_back(std::move(request));
    }
    changed_.SignalAll();
    co_return true;
  }
  Async<std::shared_ptr<WorkResponse>> Read() override {
    for (;;) {
      const uint64_t version = event_.version();
      {
        sync::MutexLock lock(mutex_);
        if (!replies_.empty()) {
          // As gRPC's stream has them: gone with the last who has a part of it.
          auto response = rpc::MakeArenaMessage<WorkResponse>();
          *response = replies_.front();
          replies_.pop_front();
          co_return response;
        }
        if (ended_) co_return nullptr;
      }
      co_await event_.Wait(version);
    }
  }
  void Finish() override { End(absl::OkStatus()); }
  void Cancel() override { End(absl::CancelledError("cancelled")); }
  absl::Status status() const override {
    sync::MutexLock lock(mutex_);
    return status_;
  }

  void Say(WorkResponse response) {
    {
      sync::MutexLock lock(mutex_);
      replies_.push_back(std::move(response));
    }
    event_.Notify();
  }
  // What is written from now on finds no room.
  void StopReading() {
    sync::MutexLock lock(mutex_);
    full_ = true;
  }
  // Whether a write waits for room within 10 s.
  bool HoldsAWrite() {
    sync::MutexLock lock(mutex_);
    while (!held_) {
      if (!changed_.WaitFor(mutex_, absl::Seconds(10))) return false;
    }
    return true;
  }
  void End(absl::Status status) {
    {
      sync::MutexLock lock(mutex_);
      if (ended_) return;
      ended_ = true;
      status_ = std::move(status);
      changed_.SignalAll();
    }
    event_.Notify();
  }
  // The next message of that kind, others skipped; nullopt after 10 s.
  std::optional<WorkRequest> Next(WorkRequest::MessageCase kind) {
    sync::MutexLock lock(mutex_);
    for (;;) {
      while (!sent_.empty()) {
        WorkRequest request = std::move(sent_.front());
        sent_.pop_front();
        if (request.message_case() == kind) return request;
      }
      if (!changed_.WaitFor(mutex_, absl::Seconds(10))) return std::nullopt;
    }
  }

 private:
  mutable sync::Mutex mutex_;
  sync::CondVar changed_;
  async::Event event_;
  std::deque<WorkRequest> sent_ ABSL_GUARDED_BY(mutex_);
  std::deque<WorkResponse> replies_ ABSL_GUARDED_BY(mutex_);
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool full_ ABSL_GUARDED_BY(mutex_) = false;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;  // a write has found it full
};

WorkResponse Welcome(bool resumed) {
  WorkResponse response;
  response.mutable_welcome()->set_session_id("s1");
  response.mutable_welcome()->set_heartbeat_interval_ms(1000);
  response.mutable_welcome()->set_resumed(resumed);
  return response;
}

WorkResponse Assignment(const std::string& id, const std::string& type) {
  WorkResponse response;
  response.mutable_assignment()->set_task_id(id);
  response.mutable_assignment()->set_task_type(type);
  response.mutable_assignment()->set_lease_epoch(1);
  (*response.mutable_assignment()->mutable_args()->mutable_fields())["text"].set_string_value(
      "hello " + id);
  return response;
}

WorkResponse Accepted(const std::string& id) {
  WorkResponse response;
  response.mutable_ack()->set_task_id(id);
  response.mutable_ack()->set_lease_epoch(1);
  response.mutable_ack()->set_accepted(true);
  return response;
}

class WorkerTest : public testing::Test {
 protected:
  WorkerTest() {
    WorkerOptions options;
    options.executor = runtime_.executor();
    options.clock = &clock_;
    options.random = &random_;
    options.name = "test";
    options.slots = 4;
    options.min_backoff = absl::Milliseconds(1);
    options.tasks = {
        {Type("echo"),
         [](const TaskArgs& args, TaskContext& context) -> Async<absl::StatusOr<TaskResult>> {
           context.Progress(50, "half way");
           TaskResult result;
           result.value = args;
           co_return result;
         }},
        {.type = Type("inline"),
         .inline_handler = [](const TaskArgs& args,
                              TaskContext& context) -> absl::StatusOr<TaskResult> {
           context.Progress(50, "half way");
           TaskResult result;
           result.value = args;
           return result;
         }},
        {Type("later"),
         [](const TaskArgs& args, TaskContext& context) -> Async<absl::StatusOr<TaskResult>> {
           co_await context.SleepFor(absl::Milliseconds(20));
           TaskResult result;
           result.value = args;
           co_return result;
         }},
        {Type("wait"),
         [](const TaskArgs&, TaskContext& context) -> Async<absl::StatusOr<TaskResult>> {
           context.Progress(1, "waiting");
           co_await context.SleepFor(absl::InfiniteDuration());
           context.Progress(99, "too late");
           co_return absl::CancelledError("stopped");
         }},
        {Type("fail"),
         [](const TaskArgs&, TaskContext&) -> Async<absl::StatusOr<TaskResult>> {
           co_return status::Error(absl::StatusCode::kInvalidArgument, "BAD_INPUT", "no good");
         }},
        {Type("throw"),
         [](const TaskArgs&, TaskContext&) -> Async<absl::StatusOr<TaskResult>> {
           throw std::runtime_error("a bug");
           co_return TaskResult();
         }},
    };
    auto worker = Worker::Create(std::move(options), [this] { return Open(); });
    EXPECT_TRUE(worker.ok()) << worker.status();
    worker_ = *std::move(worker);
  }
  ~WorkerTest() override { worker_->Stop(); }

  static task_queue::v1::TaskType Type(const std::string& name) {
    task_queue::v1::TaskType type;
    type.set_name(name);
    return type;
  }
  absl::StatusOr<std::shared_ptr<WorkerStream>> Open() {
    auto stream = std::make_shared<ScriptedStream>();
    sync::MutexLock lock(mutex_);
    if (opened_.size() < deaf_count_) stream->StopReading();
    opened_.push_back(stream);
    changed_.SignalAll();
    return stream;
  }
  std::shared_ptr<ScriptedStream> Stream(size_t n) {
    sync::MutexLock lock(mutex_);
    while (opened_.size() <= n) {
      if (!changed_.WaitFor(mutex_, absl::Seconds(10))) return nullptr;
    }
    return opened_[n];
  }
  std::shared_ptr<ScriptedStream> Connect(size_t n = 0, bool resumed = false) {
    auto stream = Stream(n);
    EXPECT_TRUE(stream->Next(WorkRequest::kHello).has_value());
    stream->Say(Welcome(resumed));
    return stream;
  }

  clock::FakeClock clock_;
  random::SeededRandom random_{1};
  async::Runtime runtime_{2};
  sync::Mutex mutex_;
  sync::CondVar changed_;
  std::vector<std::shared_ptr<ScriptedStream>> opened_ ABSL_GUARDED_BY(mutex_);
  size_t deaf_count_ ABSL_GUARDED_BY(mutex_) = 0;  // so many of the first streams take no message
  std::unique_ptr<Worker> worker_;
};

TEST_F(WorkerTest, ABatchOfBothKindsOfHandlersGetsItsArguments) {
  worker_->Start();
  auto stream = Connect();
  WorkResponse batch;
  // Two more than there are slots: those wait.
  for (const char* id : {"a", "b", "c", "d", "e", "f"}) {
    const bool runs_inline = id[0] % 2 == 0;
    *batch.mutable_batch()->add_responses() = Assignment(id, runs_inline ? "inline" : "later");
  }
  stream->Say(std::move(batch));
  std::map<std::string, std::string> results;
  for (int i = 0; i < 6; ++i) {
    const auto success = stream->Next(WorkRequest::kSuccess);
    ASSERT_TRUE(success.has_value());
    const std::string& id = success->success().task_id();
    results[id] = success->success().result().fields().at("text").string_value();
    stream->Say(Accepted(id));
  }
  for (const auto& [id, text] : results) EXPECT_EQ(text, "hello " + id);
  EXPECT_EQ(results.size(), 6u);
}

TEST_F(WorkerTest, RunsATaskAndReportsIt) {
  worker_->Start();
  auto stream = Connect();
  stream->Say(Assignment("a", "echo"));
  auto progress = stream->Next(WorkRequest::kProgress);
  ASSERT_TRUE(progress.has_value());
  EXPECT_EQ(progress->progress().percent(), 50);
  auto success = stream->Next(WorkRequest::kSuccess);
  ASSERT_TRUE(success.has_value());
  EXPECT_EQ(success->success().lease_epoch(), 1);
  EXPECT_EQ(success->success().result().fields().at("text").string_value(), "hello a");
  EXPECT_TRUE(worker_->connected());
}

TEST_F(WorkerTest, FailuresSayWhetherToTryAgain) {
  worker_->Start();
  auto stream = Connect();
  stream->Say(Assignment("a", "fail"));
  auto failure = stream->Next(WorkRequest::kFailure);
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->failure().reason(), "BAD_INPUT");
  EXPECT_FALSE(failure->failure().retryable());
  stream->Say(Assignment("b", "throw"));
  failure = stream->Next(WorkRequest::kFailure);
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->failure().reason(), "HANDLER_THREW");
  EXPECT_TRUE(failure->failure().retryable());
  stream->Say(Assignment("c", "no_such_type"));
  failure = stream->Next(WorkRequest::kFailure);
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->failure().reason(), "UNKNOWN_TASK_TYPE");
}

TEST_F(WorkerTest, HeartbeatsGoByTheClock) {
  worker_->Start();
  auto stream = Connect();
  stream->Say(Assignment("a", "echo"));
  ASSERT_TRUE(stream->Next(WorkRequest::kSuccess).has_value());
  clock_.Advance(absl::Milliseconds(500));
  worker_->Wake();
  EXPECT_TRUE(stream->Next(WorkRequest::kHeartbeat).has_value());
}

TEST_F(WorkerTest, LeavesASilentServerEvenWhenItReadsNothing) {
  worker_->Start();
  auto first = Stream(0);
  ASSERT_TRUE(first->Next(WorkRequest::kHello).has_value());
  WorkResponse welcome = Welcome(false);
  welcome.mutable_welcome()->set_acks_heartbeats(true);
  first->Say(welcome);
  first->Say(Assignment("a", "wait"));
  ASSERT_TRUE(first->Next(WorkRequest::kProgress).has_value());
  first->StopReading();
  clock_.Advance(absl::Milliseconds(1999));
  worker_->Wake();
  ASSERT_TRUE(first->HoldsAWrite()) << "its heartbeat holds the pump";
  absl::SleepFor(absl::Seconds(1));  // it looks at the clock several times meanwhile, in real time
  EXPECT_TRUE(worker_->connected()) << "not yet";
  clock_.Advance(absl::Milliseconds(1));
  auto second = Stream(1);
  ASSERT_NE(second, nullptr);
  const auto hello = second->Next(WorkRequest::kHello);
  ASSERT_TRUE(hello.has_value());
  EXPECT_EQ(hello->hello().session_id(), "s1");
  EXPECT_EQ(hello->hello().held_tasks_size(), 1);
}

TEST_F(WorkerTest, LeavesAServerThatDoesNotEvenTakeItsHello) {
  {
    sync::MutexLock lock(mutex_);
    deaf_count_ = 1;
  }
  worker_->Start();
  ASSERT_TRUE(Stream(0)->HoldsAWrite());
  clock_.Advance(absl::Seconds(5));
  Connect(1);
}

TEST_F(WorkerTest, CancelReachesTheHandler) {
  worker_->Start();
  auto stream = Connect();
  stream->Say(Assignment("a", "wait"));
  WorkResponse cancel;
  cancel.mutable_cancel()->set_task_id("a");
  cancel.mutable_cancel()->set_lease_epoch(1);
  cancel.mutable_cancel()->set_reason("CANCELLED");
  // Right behind the assignment: the handler has perhaps not begun.
  stream->Say(cancel);
  std::optional<WorkRequest> slots;
  do {
    slots = stream->Next(WorkRequest::kSlots);
    ASSERT_TRUE(slots.has_value());
  } while (slots->slots().free_slots() != 4);
  EXPECT_EQ(worker_->stats().running_count, 0);
}

TEST_F(WorkerTest, GoesOnAfterABrokenStream) {
  worker_->Start();
  auto first = Connect();
  first->Say(Assignment("a", "wait"));
  first->Say(Assignment("b", "echo"));
  ASSERT_TRUE(first->Next(WorkRequest::kSuccess).has_value());
  first->End(absl::UnavailableError("gone"));
  auto second = Stream(1);
  ASSERT_NE(second, nullptr);
  auto hello = second->Next(WorkRequest::kHello);
  ASSERT_TRUE(hello.has_value());
  EXPECT_EQ(hello->hello().session_id(), "s1");
  EXPECT_EQ(hello->hello().held_tasks_size(), 2);
  second->Say(Welcome(true));
  auto again = second->Next(WorkRequest::kSuccess);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->success().task_id(), "b");
  EXPECT_EQ(worker_->stats().running_count, 1);
}

TEST_F(WorkerTest, ADrainHandsBackWhatDoesNotEnd) {
  worker_->Start();
  auto stream = Connect();
  stream->Say(Assignment("a", "wait"));
  ASSERT_TRUE(stream->Next(WorkRequest::kProgress).has_value());
  std::thread draining([&] { worker_->Drain(clock_.Now() + absl::Seconds(10)); });
  auto slots = stream->Next(WorkRequest::kSlots);
  ASSERT_TRUE(slots.has_value());
  EXPECT_EQ(slots->slots().free_slots(), 0);
  clock_.Advance(absl::Seconds(10));
  worker_->Wake();
  auto release = stream->Next(WorkRequest::kRelease);
  EXPECT_TRUE(release.has_value());
  EXPECT_EQ(release->release().task_id(), "a");
  stream->Say(Accepted("a"));
  draining.join();
  EXPECT_EQ(worker_->stats().released_total, 1);
  worker_->Stop();
  EXPECT_EQ(worker_->stats().running_count, 0);
}

TEST_F(WorkerTest, AnIdleWorkerDrainsAtOnceEvenWithoutTheQueue) {
  worker_->Start();
  worker_->Drain(clock_.Now() + absl::Hours(1));
  EXPECT_FALSE(worker_->connected());
}

TEST_F(WorkerTest, WrongOptionsAreNamed) {
  EXPECT_EQ(Worker::Create({}, nullptr).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace slipstream::worker_client
