// What clients do besides submitting.
#include <utility>

#include "libs/status/status.h"
#include "services/task_queue/simulation/sim_clients.h"

namespace slipstream::task_queue::simulation {

namespace {

using Task = absl::StatusOr<TaskRecord>;

const Caller kAdmin{"root", "", true, "sim", ""};

// The caller outlives the call only as a copy in its frame.
Async<Task> CancelTask(TaskQueueEngine& engine, Caller caller, std::string id) {
  co_return co_await engine.Cancel(caller, std::move(id), "");
}
Async<Task> RestartTask(TaskQueueEngine& engine, Caller caller, std::string id) {
  co_return co_await engine.Restart(caller, std::move(id));
}
Async<Task> GetTask(TaskQueueEngine& engine, Caller caller, std::string id) {
  co_return co_await engine.Get(caller, std::move(id));
}

}  // namespace

void SimClients::Cancel() {
  const User& user = deps_.scheduler.Pick(Users());
  const std::string id = PickTask(user);
  if (id.empty()) return;
  const User& by = deps_.scheduler.Chance(0.1) ? deps_.scheduler.Pick(Users()) : user;
  const bool foreign = by.name != user.name;
  const TaskModel* model = deps_.oracle.Find(id);
  const int64_t epoch_before = model->epoch;
  Call<Task>([caller = CallerOf(by),
              id](TaskQueueEngine& engine) { return CancelTask(engine, caller, id); },
             [this, id, foreign, epoch_before](Task task) {
               if (!task.ok()) return;
               if (foreign)
                 deps_.oracle.Violation("another's task does not exist", "it was cancelled");
               const TaskModel* now = deps_.oracle.Find(id);
               // Restarted since, perhaps, and started again: then nobody is to be told.
               if (now->status != TaskStatus::kCancelled && now->epoch == epoch_before &&
                   now->status != TaskStatus::kPending) {
                 deps_.oracle.Violation("a cancel is acknowledged when it is done",
                                        deps_.trace.Task(id));
               }
             });
}

void SimClients::Restart() {
  const User& user = deps_.scheduler.Pick(Users());
  const std::string id = PickTask(user);
  if (id.empty()) return;
  Call<Task>([caller = CallerOf(user),
              id](TaskQueueEngine& engine) { return RestartTask(engine, caller, id); },
             [](Task) {});
}

void SimClients::Read() {
  const User& user = deps_.scheduler.Pick(Users());
  const std::string id = PickTask(user);
  if (id.empty()) return;
  const User& by = deps_.scheduler.Pick(Users());
  const bool foreign = by.name != user.name;
  Call<Task>(
      [caller = CallerOf(by), id](TaskQueueEngine& engine) { return GetTask(engine, caller, id); },
      [this, foreign](Task task) {
        if (task.ok() && foreign) {
          deps_.oracle.Violation("another's task does not exist", "it was read");
        }
      });
}

void SimClients::SetPaused(std::string task_type, bool paused) {
  using Paused = absl::StatusOr<std::vector<std::string>>;
  Call<Paused>(
      [task_type, paused](TaskQueueEngine& engine) { return engine.SetPaused(task_type, paused); },
      [](Paused) {});
}

void SimClients::ResumeAll() {
  using Paused = absl::StatusOr<std::vector<std::string>>;
  Call<Paused>([](TaskQueueEngine& engine) { return engine.SetPaused("*", false); },
               [this](Paused paused) {
                 if (!paused.ok()) ResumeAll();
               });
}

void SimClients::Purge() {
  using Purged = absl::StatusOr<PurgeResult>;
  static constexpr std::array<TaskStatus, 3> kStatuses = {
      TaskStatus::kPending, TaskStatus::kScheduled, TaskStatus::kFailed};
  PurgeQuery query;
  query.task_type = deps_.scheduler.Chance(0.3) ? "*" : kOther;
  query.statuses = {deps_.scheduler.Pick(kStatuses)};
  if (deps_.scheduler.Chance(0.5)) query.tenant = deps_.scheduler.Pick(Users()).tenant;
  query.dry_run = deps_.scheduler.Chance(0.2);
  query.max_count = deps_.scheduler.Between(1, 5);
  Call<Purged>([query](TaskQueueEngine& engine) { return engine.Purge(query); }, [](Purged) {});
}

void SimClients::Cleanup() {
  using Cleaned = absl::StatusOr<CleanupResult>;
  std::optional<absl::Duration> older_than;
  if (deps_.scheduler.Chance(0.5)) {
    older_than = deps_.scheduler.Between(absl::ZeroDuration(), absl::Seconds(8));
  }
  const bool dry_run = deps_.scheduler.Chance(0.2);
  Call<Cleaned>([older_than,
                 dry_run](TaskQueueEngine& engine) { return engine.Cleanup(older_than, dry_run); },
                [](Cleaned) {});
}

}  // namespace slipstream::task_queue::simulation
