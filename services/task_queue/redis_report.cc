// RedisTaskStore: what workers and people say of a task.
#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/redis_scripts.h"
#include "services/task_queue/redis_task_store.h"

namespace slipstream::task_queue {

namespace {

constexpr int kMaxToldCount = 100;

ReportKind KindOf(const FinishRequest& request) {
  return std::holds_alternative<task_state::Success>(request.outcome) ? ReportKind::kSuccess
                                                                      : ReportKind::kFailure;
}

// Nothing but its lease ends with it.
bool HoldsNothingElse(const redis_codec::Stored& stored) {
  return !stored.limited && !stored.has_dependents && stored.task.unique_key.empty() &&
         stored.task.concurrency_key.empty();
}

// How ReportOne tells a repeated report from its errors.
absl::Status Repeated() { return absl::AlreadyExistsError("reported before"); }

}  // namespace

Async<absl::Status> RedisTaskStore::AfterChange(RedisShard& shard,
                                                const RedisShard::Changed& changed, absl::Time now,
                                                std::vector<TaskRecord>* told) {
  const TaskRecord& before = changed.before.task;
  if (before.status == TaskStatus::kRunning && changed.after.task.status != TaskStatus::kRunning) {
    ForgetLease(before.task_id);
    if (changed.before.limited && !shard.keeps_permits()) {
      auto back = co_await Permits(before.session_id, now, "", {before.task_type, "-1", "0", "0"});
      if (!back.ok()) co_return back.status();
    }
  }
  if (changed.after.has_dependents && task_state::IsFinal(changed.after.task.status)) {
    std::vector<TaskRecord> ready;
    auto more = co_await shard.TellDependents(redis_codec::PackId(before.task_id), kMaxToldCount,
                                              now, ready);
    if (!more.ok()) co_return more.status();
    if (told != nullptr) std::move(ready.begin(), ready.end(), std::back_inserter(*told));
  }
  co_return absl::OkStatus();
}

// One report by itself.
Async<absl::StatusOr<Reported>> RedisTaskStore::ReportOne(LeaseKey lease, ReportKind kind,
                                                          RedisShard::Change change,
                                                          absl::Time now) {
  Reported out;
  RedisShard* shard = ShardOfTask(lease.task_id);
  if (shard == nullptr) {
    out.status = TaskNotFound(lease.task_id);
    co_return out;
  }
  auto changed = co_await shard->Modify(
      lease.task_id, [&](Stored& stored, std::string& event) -> absl::Status {
        if (task_state::AlreadyReported(stored.task, lease.epoch, kind)) {
          out.task = stored.task;
          return Repeated();
        }
        absl::Status held = task_state::CheckLease(stored.task, lease.session_id, lease.epoch);
        return held.ok() ? change(stored, event) : held;
      });
  if (changed.ok()) {
    out.task = changed->after.task;
    if (kind == ReportKind::kNone) {
      std::vector<std::unique_ptr<Stored>> one;
      one.push_back(std::make_unique<Stored>(std::move(changed->after)));
      Remember(std::move(one));
      co_return out;
    }
    absl::Status after = co_await AfterChange(*shard, *changed, now, nullptr);
    // The change itself is stored; the sweep catches up on the rest.
    if (!after.ok() && !absl::IsUnavailable(after)) co_return after;
    co_return out;
  }
  if (absl::IsUnavailable(changed.status())) co_return changed.status();
  if (absl::IsAlreadyExists(changed.status())) {
    // An empty commit: the one that was made may not have reached the replicas then.
    auto kept = co_await shard->Apply(Changes());
    if (!kept.ok()) co_return kept.status();
    out.repeated = true;
    co_return out;
  }
  ForgetLease(lease.task_id);
  out.status = changed.status();
  co_return out;
}

Async<absl::StatusOr<std::vector<Reported>>> RedisTaskStore::FinishBatch(
    std::span<const FinishRequest> requests, absl::Time now) {
  std::vector<Reported> results(requests.size());
  std::map<RedisShard*, std::pair<std::vector<PlainSuccess>, std::vector<size_t>>> plain;
  std::vector<size_t> rest;
  for (size_t i = 0; i < requests.size(); ++i) {
    const FinishRequest& request = requests[i];
    RedisShard* shard = ShardOfTask(request.lease.task_id);
    // Taken, not copied: should the commit fail, the task is read again.
    std::unique_ptr<Stored> stored = shard == nullptr ? nullptr : TakeLease(request.lease);
    const auto* success = std::get_if<task_state::Success>(&request.outcome);
    if (shard == nullptr || success == nullptr || !stored || !HoldsNothingElse(*stored) ||
        !task_state::CheckLease(stored->task, request.lease.session_id, request.lease.epoch).ok() ||
        !task_state::Succeed(stored->task, *success, now).ok()) {
      rest.push_back(i);
      continue;
    }
    ++stored->place;
    auto& [tasks, places] = plain[shard];
    tasks.push_back({request.lease.session_id, redis_codec::PackId(request.lease.task_id),
                     stored->fence, redis_codec::EncodeState(*stored), BucketOf(stored->task)});
    places.push_back(i);
    results[i].task = std::move(stored->task);
  }
  for (auto& [shard, group] : plain) {
    const std::vector<absl::Status> stored = co_await shard->Succeed(std::move(group.first));
    for (size_t k = 0; k < stored.size(); ++k) {
      const size_t i = group.second[k];
      if (absl::IsAborted(stored[k])) {
        rest.push_back(i);  // changed meanwhile: as it is now decides
      } else if (!stored[k].ok()) {
        co_return stored[k];
      }
    }
  }
  for (const size_t i : rest) {
    const FinishRequest& request = requests[i];
    auto reported = co_await ReportOne(
        request.lease, KindOf(request),
        [&](Stored& stored, std::string& event) -> absl::Status {
          const auto* success = std::get_if<task_state::Success>(&request.outcome);
          absl::Status status =
              success != nullptr ? task_state::Succeed(stored.task, *success, now)
                                 : task_state::FailAttempt(
                                       stored.task, std::get<task_state::Failure>(request.outcome),
                                       options_.retry, now);
          event = std::string(task_state::EventType(stored.task));
          return status;
        },
        now);
    if (!reported.ok()) co_return reported.status();
    results[i] = *std::move(reported);
  }
  co_return results;
}

Async<absl::StatusOr<std::vector<Reported>>> RedisTaskStore::ProgressBatch(
    std::span<const ProgressRequest> requests, absl::Time now) {
  std::vector<Reported> results;
  for (const ProgressRequest& request : requests) {
    auto reported = co_await ReportOne(
        request.lease, ReportKind::kNone,
        [&](Stored& stored, std::string& event) {
          event = "task_progress";
          return task_state::Progress(stored.task, request.percent, request.message);
        },
        now);
    if (!reported.ok()) co_return reported.status();
    results.push_back(*std::move(reported));
  }
  co_return results;
}

Async<absl::StatusOr<std::vector<Reported>>> RedisTaskStore::ReleaseBatch(
    std::span<const LeaseKey> leases, absl::Time now) {
  std::vector<Reported> results;
  for (const LeaseKey& lease : leases) {
    auto reported = co_await ReportOne(
        lease, ReportKind::kRelease,
        [](Stored& stored, std::string& event) {
          event = "task_progress";
          return task_state::Release(stored.task);
        },
        now);
    if (!reported.ok()) co_return reported.status();
    results.push_back(*std::move(reported));
  }
  co_return results;
}

// --- people

Async<absl::StatusOr<Cancelled>> RedisTaskStore::Cancel(std::string_view task_id,
                                                        std::string message, absl::Time now) {
  RedisShard* shard = ShardOfTask(task_id);
  if (shard == nullptr) co_return TaskNotFound(task_id);
  auto changed = co_await shard->Modify(
      std::string(task_id), [&](Stored& stored, std::string& event) -> absl::Status {
        if (stored.task.status == TaskStatus::kCancelled) return absl::OkStatus();
        absl::Status status = task_state::Cancel(stored.task, message, now);
        event = std::string(task_state::EventType(stored.task));
        return status;
      });
  if (!changed.ok()) co_return changed.status();
  Cancelled out;
  out.task = changed->after.task;
  if (changed->before.task.version == changed->after.task.version) co_return out;
  out.changed = true;
  out.session_id = changed->before.task.session_id;
  out.epoch = changed->before.task.lease_epoch;
  absl::Status after = co_await AfterChange(*shard, *changed, now, nullptr);
  if (!after.ok() && !absl::IsUnavailable(after)) co_return after;
  co_return out;
}

Async<absl::StatusOr<TaskRecord>> RedisTaskStore::Restart(std::string_view task_id,
                                                          absl::Time now) {
  RedisShard* shard = ShardOfTask(task_id);
  if (shard == nullptr) co_return TaskNotFound(task_id);
  constexpr int kMaxTriesCount = 8;
  for (int i = 0; i < kMaxTriesCount; ++i) {
    const std::string id = redis_codec::PackId(task_id);
    auto read = co_await shard->Read({id});
    if (!read.ok()) co_return read.status();
    if (!(*read)[0]) co_return TaskNotFound(task_id);
    Stored before = *(*read)[0], after = before;
    if (absl::Status may = task_state::Restart(after.task, now); !may.ok()) co_return may;
    Changes changes;
    shard->RequireUnchanged(before, changes);
    if (!after.task.unique_key.empty()) {
      const std::string key =
          shard->UniqueKey(after.task.owner, after.task.tenant, after.task.unique_key);
      auto taken = co_await shard->Command({"GET", key});
      if (!taken.ok()) co_return taken.status();
      if (taken->is_string()) co_return UniqueKeyTaken(redis_codec::UnpackId(taken->text));
      changes.RequireValue(key, "");
      changes.Command({"SET", key, id});
    }
    absl::Status planned =
        co_await shard->Transition(&before, after, task_state::EventType(after.task), changes);
    if (!planned.ok()) co_return planned;
    auto applied = co_await shard->Apply(std::move(changes));
    if (!applied.ok()) co_return applied.status();
    if (*applied) co_return after.task;
  }
  co_return status::WithRetryAfter(
      status::Error(absl::StatusCode::kUnavailable, "TASK_BUSY",
                    "others change the task at the same time; try again"),
      absl::Milliseconds(100));
}

}  // namespace slipstream::task_queue
