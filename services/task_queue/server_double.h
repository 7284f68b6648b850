// One queue server without its RPCs, on a store that it may share with others: for tests.
#ifndef SERVICES_TASK_QUEUE_SERVER_DOUBLE_H_
#define SERVICES_TASK_QUEUE_SERVER_DOUBLE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/task_queue/contract/server_store.h"
#include "services/task_queue/engine_fixture.h"
#include "services/task_queue/shared_task_types.h"

namespace slipstream::task_queue {

inline std::shared_ptr<CommonStore> MakeCommonStore() {
  auto common = std::make_shared<CommonStore>();
  common->store = std::make_unique<MemoryTaskStore>(MemoryTaskStoreOptions{});
  return common;
}

class ServerDouble {
 public:
  ServerDouble(std::shared_ptr<CommonStore> common, clock::FakeClock& clock, random::Random& random)
      : store(std::move(common)),
        figures(QueueSeries(metrics), clock.Now()),
        types({store, clock, registry, logging::Logger()}),
        sessions(
            {store, clock, random, registry, figures, signals, logging::Logger(), nullptr, &types},
            WorkerTimes{}),
        engine({store, clock, random, registry, figures, signals, sessions, &types,
                random::Uuid7(clock, random)},
               SubmitLimits{}) {
    store.SetListener(&engine);
  }

  std::string Connect(const std::shared_ptr<RecordingSink>& sink, const std::string& resume = "",
                      std::vector<std::pair<std::string, int64_t>> held = {},
                      const std::string& user = "svc") {
    v1::TaskType type;
    type.set_name("echo");
    Hello hello{user, "worker-1", {type}, 4, resume, std::move(held)};
    auto connected = Await(sessions.Connect(hello, sink));
    EXPECT_TRUE(connected.ok()) << connected.status();
    if (!connected.ok()) return "";
    welcome = *connected;
    return welcome.session_id;
  }
  absl::StatusOr<TaskRecord> Submit(SubmitSpec spec = {}) {
    spec.task_type = "echo";
    return Await(engine.Submit(alice, spec));
  }
  absl::Status Succeed(const std::string& session, const TaskRecord& task) {
    const WorkerReport report{task.task_id, task.lease_epoch,
                              task_state::Success{MakeBytes("r"), {}, {}}};
    return Await(sessions.Report(session, {&report, 1}))[0];
  }
  TaskStatus StatusOf(const std::string& task_id) {
    auto task = Await(engine.Get(alice, task_id));
    EXPECT_TRUE(task.ok()) << task.status();
    return task.ok() ? task->status : TaskStatus::kExpired;
  }
  void Tick() {
    for (bool more = true; more;) {
      const auto ticked = Await(engine.Tick());
      more = ticked.ok() && *ticked;
    }
  }
  int Dispatch() { return Await(sessions.Dispatch()); }

  ServerTaskStore store;
  metrics::Registry metrics;
  QueueFigures figures;
  TaskTypeRegistry registry;
  TaskSignals signals;
  SharedTaskTypes types;
  WorkerSessions sessions;
  TaskQueueEngine engine;
  Welcome welcome;
  const Caller alice{"alice", "acme", false, "req-1", ""};
  const Caller bob{"bob", "acme", false, "", ""};
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_SERVER_DOUBLE_H_
