// TaskQueueEngine: from what users ask for to tasks in the store.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/shared_task_types.h"
#include "services/task_queue/task_queue_engine.h"

namespace slipstream::task_queue {

namespace {

constexpr absl::Duration kAwayRetryDelay = absl::Seconds(1);

absl::Status WithRetryDelay(absl::Status status) {
  if (!absl::IsUnavailable(status) || status::RetryAfter(status)) return status;
  return status::WithRetryAfter(std::move(status), kAwayRetryDelay);
}

}  // namespace

absl::Status TaskQueueEngine::CheckAccepting() const {
  if (!draining_.load(std::memory_order_acquire)) return absl::OkStatus();
  return status::WithRetryAfter(
      status::Error(absl::StatusCode::kUnavailable, "DRAINING",
                    "this queue server is going away; submit again after the delay given"),
      absl::Seconds(1));
}

Async<absl::StatusOr<TaskRecord>> TaskQueueEngine::Submit(const Caller& caller,
                                                          const SubmitSpec& spec) {
  auto results = co_await SubmitMany(caller, {&spec, 1}, false);
  if (!results.ok()) co_return results.status();
  co_return std::move((*results)[0]);
}

Async<void> TaskQueueEngine::LearnTypes(std::span<const SubmitSpec> specs) {
  if (deps_.shared_types == nullptr) co_return;
  const std::string* known = nullptr;  // the last one: most batches are of one type
  const bool unknown = std::any_of(specs.begin(), specs.end(), [&](const SubmitSpec& spec) {
    if (known != nullptr && *known == spec.task_type) return false;
    known = &spec.task_type;
    return !deps_.registry.Find(spec.task_type).ok();
  });
  if (unknown) co_await deps_.shared_types->LoadForUnknown();
}

void TaskQueueEngine::CheckAll(const Caller& caller, std::span<const SubmitSpec> specs,
                               absl::Time now, Batch& batch) {
  const size_t count = specs.size();
  const bool flow = std::any_of(specs.begin(), specs.end(),
                                [](const SubmitSpec& spec) { return !spec.depends_on.empty(); });
  if (flow) {
    std::vector<const std::vector<std::string>*> names;
    for (const SubmitSpec& spec : specs) names.push_back(&spec.depends_on);
    batch.flow = PlanFlow(names);
  }
  std::vector<std::string> task_ids(flow ? count : 0);
  batch.results.resize(count);
  batch.accepted.reserve(count);
  batch.places.reserve(count);
  for (size_t next = 0; next < count; ++next) {
    const size_t i = flow ? batch.flow.order[next] : next;
    auto task = CheckSubmit(caller, specs[i], deps_.registry, limits_, deps_.args, now);
    absl::Status refused = task.status();
    if (refused.ok() && flow) refused = batch.flow.refused[i];
    if (!refused.ok()) {
      batch.results[i] = refused;
      deps_.figures.Refused(status::Reason(refused));
      continue;
    }
    task->task_id = deps_.store.MakeTaskId(random::Uuid7(deps_.clock, deps_.random), caller.user,
                                           caller.tenant);
    if (flow) {
      task_ids[i] = task->task_id;
      task->depends_on = batch.flow.task_ids[i];
      for (const size_t before : batch.flow.entries[i]) {
        task->depends_on.push_back(task_ids[before]);
      }
    }
    batch.places.push_back(i);
    batch.accepted.push_back(*std::move(task));
  }
  for (const size_t place : batch.places) batch.results[place] = TaskRecord();
  if (flow) RefuseFollowers(batch, false);
}

// Who depends on a refused entry is refused too: before the store is asked, and after it has
// refused some (then the follower's own refusal speaks of an id that nobody knows).
void TaskQueueEngine::RefuseFollowers(Batch& batch, bool stored) {
  for (const size_t i : batch.flow.order) {
    if (batch.results[i].ok() == stored || !batch.flow.refused[i].ok()) continue;
    for (const size_t before : batch.flow.entries[i]) {
      if (batch.results[before].ok()) continue;
      if (!stored) deps_.figures.Refused(task_state::kDependencyFailed);
      batch.results[i] = EntryRefused(before);
      break;
    }
  }
  if (stored) return;
  size_t kept = 0;
  for (size_t k = 0; k < batch.places.size(); ++k) {
    if (!batch.results[batch.places[k]].ok()) continue;
    if (kept != k) {
      batch.places[kept] = batch.places[k];
      batch.accepted[kept] = std::move(batch.accepted[k]);
    }
    ++kept;
  }
  batch.places.resize(kept);
  batch.accepted.resize(kept);
}

void TaskQueueEngine::Settle(std::vector<absl::StatusOr<Submitted>> stored, absl::Time now,
                             Batch& batch) {
  std::vector<TaskRecord> replaced;
  std::string_view type;  // runs of one type are counted together
  int64_t added = 0;
  const auto count = [&](std::string_view next) {
    if (next == type) return;
    if (added > 0) deps_.figures.Submitted(type, added, now);
    type = next;
    added = 0;
  };
  for (size_t i = 0; i < stored.size(); ++i) {
    absl::StatusOr<Submitted>& one = stored[i];
    if (!one.ok()) {
      deps_.figures.Refused(status::Reason(one.status()));
      batch.results[batch.places[i]] = one.status();
      continue;
    }
    if (one->replaced) replaced.push_back(*std::move(one->replaced));
    if (one->debounced) deps_.signals.Changed(one->task.task_id);
    if (!one->duplicate && !one->debounced) {
      count(batch.accepted[i].task_type);
      ++added;
    }
    batch.results[batch.places[i]] = std::move(one->task);
  }
  count("");
  Changed(replaced, now);
}

Async<absl::StatusOr<std::vector<absl::StatusOr<TaskRecord>>>> TaskQueueEngine::SubmitMany(
    const Caller& caller, std::span<const SubmitSpec> specs, bool all_or_nothing) {
  if (absl::Status accepting = CheckAccepting(); !accepting.ok()) co_return accepting;
  if (specs.empty() || specs.size() > kMaxBulkCount) {
    co_return status::FieldError("tasks", "must be 1-100");
  }
  co_await LearnTypes(specs);
  const absl::Time now = deps_.clock.Now();
  Batch batch;
  CheckAll(caller, specs, now, batch);
  if (all_or_nothing && batch.accepted.size() < specs.size()) {
    for (const size_t place : batch.places) {
      batch.results[place] = status::Error(absl::StatusCode::kFailedPrecondition, "ALL_OR_NOTHING",
                                           "not accepted because another entry was refused");
    }
    co_return std::move(batch.results);
  }
  if (batch.accepted.empty()) co_return std::move(batch.results);
  auto stored = co_await deps_.store.SubmitBatch(batch.accepted, all_or_nothing, now);
  if (!stored.ok()) co_return WithRetryDelay(stored.status());
  Settle(*std::move(stored), now, batch);
  if (!batch.flow.order.empty() && !all_or_nothing) RefuseFollowers(batch, true);
  deps_.signals.work().Notify();
  co_return std::move(batch.results);
}

}  // namespace slipstream::task_queue
