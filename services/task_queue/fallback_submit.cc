// FallbackTaskStore: where a submit goes, and how tasks get from memory to the durable store.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/fallback_task_store.h"
#include "services/task_queue/task_keys.h"

namespace slipstream::task_queue {

namespace {

constexpr absl::Duration kMovingRetryDelay = absl::Milliseconds(100);
constexpr absl::Duration kAwayRetryDelay = absl::Seconds(1);

absl::Status Apart(std::string_view task_id) {
  const std::string id(task_id);
  return status::Error(
      absl::StatusCode::kFailedPrecondition, kDependenciesApart,
      absl::StrCat("task ", id,
                   " of depends_on is in the durable store and another one was accepted in memory "
                   "while that was away; submit this task once that one has ended"),
      {{"task_id", id}});
}

// Unlike any that a user may give, which has no control characters.
std::string MoveRequestId(const NewTask& task) { return "\x01move:" + task.task_id; }

// Of an earlier attempt to move whose answer was lost.
bool IsSameTask(const NewTask& task, const absl::StatusOr<Submitted>& moved) {
  if (moved.ok()) return moved->task.task_id == task.task_id;
  return absl::IsAlreadyExists(moved.status()) &&
         status::Metadata(moved.status(), "task_id") == task.task_id;
}

}  // namespace

absl::Status TaskMoving(std::string_view task_id) {
  const std::string id(task_id);
  return status::WithRetryAfter(
      status::Error(absl::StatusCode::kUnavailable, kTaskMoving,
                    absl::StrCat("task ", id, " is being moved to the durable store; try again"),
                    {{"task_id", id}}),
      kMovingRetryDelay);
}

// --- submit

bool FallbackTaskStore::MovingConcerns(const NewTask& task) const {
  sync::MutexLock lock(mu_);
  return std::any_of(moving_.begin(), moving_.end(), [&](const auto& entry) {
    const NewTask& moving = entry.second.submitted;
    const bool same_owner = moving.owner == task.owner && moving.tenant == task.tenant;
    if (!same_owner) return false;
    return (!task.request_id.empty() && moving.request_id == task.request_id) ||
           (!task.unique_key.empty() && moving.unique_key == task.unique_key) ||
           std::find(task.depends_on.begin(), task.depends_on.end(), entry.first) !=
               task.depends_on.end();
  });
}

// What the memory would answer without knowing.
absl::Status FallbackTaskStore::CheckHere(std::span<const NewTask> tasks) {
  std::set<std::string_view> in_batch;
  for (const NewTask& task : tasks) {
    in_batch.insert(task.task_id);
    if (MovingConcerns(task)) return TaskMoving(task.task_id);
    if (!task.request_id.empty() && !memory_.HasRequest(task)) {
      sync::MutexLock lock(mu_);
      if (recent_.Contains(RequestKeyOf(task))) {
        return status::WithRetryAfter(
            status::Error(absl::StatusCode::kUnavailable, kRequestIdAway,
                          "this request_id was used before and its task is in the durable store, "
                          "which is away; repeat it when that is back"),
            kAwayRetryDelay);
      }
    }
    for (const std::string& id : task.depends_on) {
      if (in_batch.contains(id) || memory_.Has(id) || NothingThere()) continue;
      if (!Away()) return Apart(id);
      return status::WithRetryAfter(
          status::Error(absl::StatusCode::kUnavailable, kDependencyAway,
                        absl::StrCat("task ", id,
                                     " of depends_on is not in memory, and the durable store is "
                                     "away; try again when that is back"),
                        {{"task_id", id}}),
          kAwayRetryDelay);
    }
  }
  return absl::OkStatus();
}

Async<absl::StatusOr<std::vector<absl::StatusOr<Submitted>>>> FallbackTaskStore::SubmitHere(
    std::span<const NewTask> tasks, bool all_or_nothing, absl::Time now) {
  if (absl::Status known = CheckHere(tasks); !known.ok()) co_return known;
  co_return co_await memory_.SubmitBatch(tasks, all_or_nothing, now);
}

Async<absl::StatusOr<std::vector<absl::StatusOr<Submitted>>>> FallbackTaskStore::SubmitThere(
    std::span<const NewTask> tasks, bool all_or_nothing, absl::Time now) {
  // Before the answer, which may be lost.
  for (const NewTask& task : tasks) {
    if (task.request_id.empty()) continue;
    sync::MutexLock lock(mu_);
    recent_.Add(RequestKeyOf(task));
  }
  co_return Noted(co_await durable_->SubmitBatch(tasks, all_or_nothing, now));
}

Async<absl::StatusOr<std::vector<absl::StatusOr<Submitted>>>> FallbackTaskStore::SubmitBatch(
    std::span<const NewTask> tasks, bool all_or_nothing, absl::Time now) {
  if (Away()) co_return co_await SubmitHere(tasks, all_or_nothing, now);
  std::vector<size_t> here, there;
  bool flow = false;
  for (size_t i = 0; i < tasks.size(); ++i) {
    if (MovingConcerns(tasks[i])) co_return TaskMoving(tasks[i].task_id);
    (memory_.Concerns(tasks[i]) ? here : there).push_back(i);
    flow = flow || !tasks[i].depends_on.empty();
  }
  if (here.empty()) co_return co_await SubmitThere(tasks, all_or_nothing, now);
  if (there.empty() || all_or_nothing || flow) {
    co_return co_await SubmitHere(tasks, all_or_nothing, now);
  }
  const auto chosen = [&](const std::vector<size_t>& places) {
    std::vector<NewTask> some;
    some.reserve(places.size());
    for (const size_t i : places) some.push_back(tasks[i]);
    return some;
  };
  std::vector<absl::StatusOr<Submitted>> results(tasks.size());
  // First what may fail as a whole.
  for (const auto& [places, is_here] : {std::pair(&there, false), std::pair(&here, true)}) {
    const std::vector<NewTask> some = chosen(*places);
    auto stored =
        is_here ? co_await SubmitHere(some, false, now) : co_await SubmitThere(some, false, now);
    if (!stored.ok()) co_return stored.status();
    for (size_t k = 0; k < places->size(); ++k) results[(*places)[k]] = std::move((*stored)[k]);
  }
  co_return results;
}

// --- move

std::vector<MemoryTaskStore::Unstarted> FallbackTaskStore::TakeForMove() {
  // Under the lock, so that a reader that no longer finds it in memory finds it here.
  sync::MutexLock lock(mu_);
  std::vector<MemoryTaskStore::Unstarted> batch;
  for (const auto& [id, one] : moving_) batch.push_back(one);  // in doubt since an earlier attempt
  const int room = kMaxMovingCount - static_cast<int>(batch.size());
  if (room <= 0) return batch;
  for (MemoryTaskStore::Unstarted& one : memory_.TakeUnstarted(room)) {
    moving_.emplace(one.task.task_id, one);
    batch.push_back(std::move(one));
  }
  return batch;
}

Async<bool> FallbackTaskStore::MoveOne(const MemoryTaskStore::Unstarted& one, absl::Time now) {
  NewTask task = one.submitted;
  if (task.request_id.empty()) task.request_id = MoveRequestId(task);
  // A task that was there first is not replaced or changed by one that comes later by accident.
  task.unique_policy = UniquePolicy::kReject;
  // As of its submit, so that its wait, its expiry and its age in the order go on.
  if (!one.submitted.request_id.empty()) {
    sync::MutexLock lock(mu_);
    recent_.Add(RequestKeyOf(task));
  }
  auto moved = Noted(co_await durable_->SubmitBatch({&task, 1}, false, one.task.created_at));
  if (moved.ok()) {
    Settle(one, (*moved)[0], now);
  } else if (absl::IsResourceExhausted(moved.status())) {
    Settle(one, moved.status(), now);  // out of memory: certainly not done
  } else {
    co_return false;
  }
  co_return true;
}

void FallbackTaskStore::Settle(const MemoryTaskStore::Unstarted& one,
                               const absl::StatusOr<Submitted>& moved, absl::Time now) {
  // In one step, so that no reader finds it nowhere.
  sync::MutexLock lock(mu_);
  if (IsSameTask(one.submitted, moved)) {
    memory_.ForgetRequest(one.submitted);
  } else if (moved.ok() || status::Reason(moved.status()) == kRequestAlreadyDone) {
    const auto id =
        moved.ok() ? moved->task.task_id : status::Metadata(moved.status(), "task_id").value_or("");
    memory_.PutBack(one.task,
                    absl::StrCat("its request_id was used before the durable store was away: task ",
                                 id, " stands for it"),
                    now);
  } else {
    memory_.PutBack(one.task, std::nullopt, now);
  }
  moving_.erase(one.task.task_id);
}

Async<bool> FallbackTaskStore::MoveSome(absl::Time now) {
  const std::vector<MemoryTaskStore::Unstarted> batch = TakeForMove();
  for (const MemoryTaskStore::Unstarted& one : batch) {
    if (!co_await MoveOne(one, now)) co_return false;
  }
  co_return !batch.empty();
}

}  // namespace slipstream::task_queue
