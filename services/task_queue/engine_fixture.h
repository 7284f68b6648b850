// The engine on a memory store and a fake clock, and a worker that records what it is sent.
#ifndef SERVICES_TASK_QUEUE_ENGINE_FIXTURE_H_
#define SERVICES_TASK_QUEUE_ENGINE_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libs/clock/fake_clock.h"
#include "libs/status/status.h"
#include "services/task_queue/contract/await.h"
#include "services/task_queue/memory_task_store.h"
#include "services/task_queue/task_queue_engine.h"

namespace slipstream::task_queue {

class RecordingSink final : public WorkerSink {
 public:
  bool Assign(const std::vector<TaskRecord>& tasks) override {
    if (during_assign) during_assign();
    if (broken) return false;
    for (const TaskRecord& task : tasks) {
      assigned.push_back(task);
      order.push_back("assign " + task.task_id);
    }
    return true;
  }
  void Cancel(const LeaseKey& lease, std::string_view reason) override {
    cancelled.push_back(lease.task_id + " " + std::string(reason));
    order.push_back("cancel " + lease.task_id);
  }
  void Drain(absl::Duration) override { drained = true; }
  void Close() override { closed = true; }

  std::vector<TaskRecord> assigned;
  std::vector<std::string> cancelled;
  std::vector<std::string> order;
  std::function<void()> during_assign;  // runs before the assignment is on its way
  bool broken = false, drained = false, closed = false;
};

class EngineFixture : public testing::Test {
 protected:
  static v1::TaskType Type(const std::string& name) {
    v1::TaskType type;
    type.set_name(name);
    return type;
  }
  static SubmitSpec Spec(const std::string& type = "echo") {
    SubmitSpec spec;
    spec.task_type = type;
    return spec;
  }
  std::string Connect(const std::shared_ptr<RecordingSink>& sink, int slots = 4,
                      const std::string& resume = "",
                      std::vector<std::pair<std::string, int64_t>> held = {}) {
    Hello hello{"svc", "worker-1", {Type("echo"), Type("other")}, slots, resume, std::move(held)};
    auto welcome = Await(sessions_.Connect(hello, sink));
    EXPECT_TRUE(welcome.ok()) << welcome.status();
    if (!welcome.ok()) return "";
    welcome_ = *welcome;
    return welcome_.session_id;
  }
  TaskRecord Submit(const SubmitSpec& spec = Spec()) {
    auto task = Await(engine_.Submit(alice_, spec));
    EXPECT_TRUE(task.ok()) << task.status();
    return task.ok() ? *task : TaskRecord();
  }
  TaskRecord Get(const std::string& task_id) {
    auto task = Await(engine_.Get(alice_, task_id));
    EXPECT_TRUE(task.ok()) << task.status();
    return task.ok() ? *task : TaskRecord();
  }
  absl::Status Report(const std::string& session, const TaskRecord& task,
                      decltype(WorkerReport::what) what) {
    std::vector<WorkerReport> reports;
    reports.push_back({task.task_id, task.lease_epoch, std::move(what)});
    return Await(sessions_.Report(session, std::move(reports)))[0];
  }
  absl::Status Succeed(const std::string& session, const TaskRecord& task) {
    return Report(session, task, task_state::Success{MakeBytes("r"), {}, {}});
  }
  void Tick() {
    auto more = Await(engine_.Tick());
    EXPECT_TRUE(more.ok()) << more.status();
  }
  int Dispatch() { return Await(sessions_.Dispatch()); }

  clock::FakeClock clock_;
  random::SeededRandom random_{1};
  metrics::Registry metrics_;
  MemoryTaskStore store_{MemoryTaskStoreOptions{}};
  TaskTypeRegistry registry_;
  QueueFigures figures_{QueueSeries(metrics_), clock_.Now()};
  TaskSignals signals_;
  WorkerSessions sessions_{
      {store_, clock_, random_, registry_, figures_, signals_, logging::Logger()}, WorkerTimes{}};
  TaskQueueEngine engine_{{store_, clock_, random_, registry_, figures_, signals_, sessions_},
                          SubmitLimits{}};
  const Caller alice_{"alice", "acme", false, "req-1", ""};
  const Caller bob_{"bob", "acme", false, "", ""};
  const Caller admin_{"root", "", true, "", ""};
  Welcome welcome_;
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_ENGINE_FIXTURE_H_
