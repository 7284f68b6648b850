// RedisTaskStore: what becomes of a submit. Most have no option that depends on other keys and
// travel together; the others are planned from what was read and applied while it holds.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/redis_task_store.h"

namespace slipstream::task_queue {

namespace {

constexpr int kMaxTriesCount = 32;

bool IsPlain(const NewTask& task, absl::Time now) {
  return task.request_id.empty() && task.unique_key.empty() && task.concurrency_key.empty() &&
         task.depends_on.empty() && task.expires_in == absl::InfiniteDuration() &&
         (!task.run_at || *task.run_at <= now);
}

absl::Status Busy() {
  return status::WithRetryAfter(
      status::Error(absl::StatusCode::kUnavailable, "TASK_BUSY",
                    "others submit with the same keys at the same time; try again"),
      absl::Milliseconds(100));
}

// A task of the batch that turned out to be another one: those that depend on it depend on that.
NewTask Resolve(const NewTask& task, const std::map<std::string, std::string>& same_as) {
  NewTask resolved = task;
  for (std::string& id : resolved.depends_on) {
    if (auto it = same_as.find(id); it != same_as.end()) id = it->second;
  }
  std::set<std::string> seen;
  std::erase_if(resolved.depends_on,
                [&](const std::string& id) { return !seen.insert(id).second; });
  return resolved;
}

}  // namespace

// What the tasks before this one in an all-or-nothing batch will have done.
struct RedisTaskStore::BatchPlan {
  Changes changes;
  int64_t created_count = 0;
  std::map<std::string, Stored> created;        // by task id
  std::map<std::string, std::string> requests;  // key -> fingerprint
  std::map<std::string, std::string> request_ids;
  std::set<std::string> unique_keys;
  std::set<std::string> depended_on;  // by tasks of the batch
  std::set<std::string> replaced_ids;
  std::vector<RedisShard::Changed> replaced;
  std::map<std::string, Stored> marked;  // others depend on them now
};

Async<absl::StatusOr<std::vector<absl::StatusOr<Submitted>>>> RedisTaskStore::SubmitBatch(
    std::span<const NewTask> tasks, bool all_or_nothing, absl::Time now) {
  std::vector<absl::StatusOr<Submitted>> results;
  results.reserve(tasks.size());
  const bool all_plain = std::all_of(tasks.begin(), tasks.end(),
                                     [&](const NewTask& task) { return IsPlain(task, now); });
  if (all_or_nothing && !all_plain) co_return co_await SubmitTogether(tasks, now);
  std::map<std::string, std::string> same_as;
  for (size_t begin = 0; begin < tasks.size();) {
    if (!IsPlain(tasks[begin], now)) {
      const NewTask task = Resolve(tasks[begin], same_as);
      auto one = co_await SubmitTogether({&task, 1}, now);
      if (!one.ok()) co_return one.status();
      results.push_back(std::move((*one)[0]));
      if (results[begin].ok()) same_as[task.task_id] = results[begin]->task.task_id;
      ++begin;
      continue;
    }
    RedisShard& shard = ShardOf(tasks[begin].owner, tasks[begin].tenant);
    size_t end = begin;
    std::vector<PlainSubmit> plain;
    plain.reserve(tasks.size() - begin);
    for (; end < tasks.size() && IsPlain(tasks[end], now) &&
           &ShardOf(tasks[end].owner, tasks[end].tenant) == &shard;
         ++end) {
      absl::StatusOr<Submitted>& result = results.emplace_back(absl::in_place);
      result->task = task_state::Create(tasks[end], now);
      // Points into `results`, which has room for all.
      plain.push_back(shard.Plain(result->task));
    }
    const std::vector<absl::Status> stored = co_await shard.Submit(std::move(plain));
    for (size_t i = begin; i < end; ++i) {
      const absl::Status& status = stored[i - begin];
      if (absl::IsUnavailable(status)) co_return status;
      if (!status.ok()) results[i] = status;
    }
    begin = end;
  }
  co_return results;
}

// All or none; the tasks of one batch are of one owner, so of one shard.
Async<absl::StatusOr<std::vector<absl::StatusOr<Submitted>>>> RedisTaskStore::SubmitTogether(
    std::span<const NewTask> tasks, absl::Time now) {
  RedisShard& shard = ShardOf(tasks[0].owner, tasks[0].tenant);
  for (int i = 0; i < kMaxTriesCount; ++i) {
    BatchPlan batch;
    for (const NewTask& task : tasks) {
      batch.depended_on.insert(task.depends_on.begin(), task.depends_on.end());
    }
    std::vector<absl::StatusOr<Submitted>> results;
    absl::Status refused;
    std::map<std::string, std::string> same_as;
    for (const NewTask& unresolved : tasks) {
      const NewTask task = Resolve(unresolved, same_as);
      auto planned = co_await Plan(task, now, batch);
      if (!planned.ok()) co_return planned.status();
      if (!planned->refused.ok()) {
        refused = planned->refused;
        break;
      }
      same_as[task.task_id] = planned->submitted.task.task_id;
      results.emplace_back(std::move(planned->submitted));
    }
    if (!refused.ok()) {
      co_return std::vector<absl::StatusOr<Submitted>>(tasks.size(), refused);
    }
    for (auto& [id, stored] : batch.marked) {
      // Not a change of status, so the place in its lane stays.
      Stored after = stored;
      after.has_dependents = true;
      ++after.task.version;
      shard.RequireUnchanged(stored, batch.changes);
      batch.changes.Set(shard.StateKey(redis_codec::PackId(id)), redis_codec::EncodeState(after));
    }
    if (batch.created_count > 0) {
      batch.changes.RequireRoom("total", batch.created_count, options_.max_tasks_count);
    }
    auto applied = co_await shard.Apply(std::move(batch.changes));
    if (!applied.ok()) co_return applied.status();
    if (*applied) {
      for (const RedisShard::Changed& changed : batch.replaced) {
        absl::Status after = co_await AfterChange(shard, changed, now, nullptr);
        if (!after.ok()) co_return after;
      }
      co_return results;
    }
    // The one condition that does not go away by reading again.
    auto total = co_await shard.Command({"HGET", shard.Key("n"), "total"});
    if (!total.ok()) co_return total.status();
    int64_t count = 0;
    if (absl::SimpleAtoi(total->text, &count) &&
        count + batch.created_count > options_.max_tasks_count) {
      co_return std::vector<absl::StatusOr<Submitted>>(tasks.size(),
                                                       QueueFull("task_queue.max_tasks_count"));
    }
  }
  co_return Busy();
}

Async<absl::StatusOr<RedisTaskStore::Planned>> RedisTaskStore::Plan(const NewTask& task,
                                                                    absl::Time now,
                                                                    BatchPlan& batch) {
  RedisShard& shard = ShardOf(task.owner, task.tenant);
  Changes& changes = batch.changes;
  Submitted out;
  std::string remember_request;
  if (!task.request_id.empty()) {
    const std::string key = shard.RequestKey(task);
    if (auto seen = batch.requests.find(key); seen != batch.requests.end()) {
      if (seen->second != task.fingerprint) {
        co_return Planned{RequestIdReused("of this batch"), {}};
      }
      out.duplicate = true;
      out.task = batch.created.at(batch.request_ids.at(key)).task;
      co_return Planned{absl::OkStatus(), std::move(out)};
    }
    auto known = co_await shard.Command({"GET", key});
    if (!known.ok()) co_return known.status();
    // Id, when it was used (6 bytes), fingerprint. Redis forgets it too, by its own clock.
    constexpr size_t kHeaderBytes = redis_codec::kIdBytes + 6;
    const bool remembered =
        known->text.size() >= kHeaderBytes &&
        now < absl::FromUnixMillis(static_cast<int64_t>(redis_codec::ReadNumber(
                  std::string_view(known->text).substr(redis_codec::kIdBytes, 6)))) +
                  kRequestIdTtl;
    if (remembered) {
      const std::string id = known->text.substr(0, redis_codec::kIdBytes);
      const std::string uuid = redis_codec::UnpackId(id);
      if (known->text.substr(kHeaderBytes) != task.fingerprint) {
        co_return Planned{RequestIdReused(uuid), {}};
      }
      auto first = co_await shard.Read({id});
      if (!first.ok()) co_return first.status();
      if (!(*first)[0]) co_return Planned{RequestAlreadyDone(uuid), {}};
      out.duplicate = true;
      out.task = std::move((*first)[0]->task);
      co_return Planned{absl::OkStatus(), std::move(out)};
    }
    changes.RequireValue(key, known->text);
    remember_request = key;
  }

  std::optional<Stored> holder;
  std::string unique_key;
  if (!task.unique_key.empty()) {
    unique_key = shard.UniqueKey(task.owner, task.tenant, task.unique_key);
    auto taken = co_await shard.Command({"GET", unique_key});
    if (!taken.ok()) co_return taken.status();
    if (batch.unique_keys.contains(unique_key)) {
      co_return Planned{UniqueKeyTaken("of this batch"), {}};
    }
    changes.RequireValue(unique_key, taken->text);
    if (taken->is_string()) {
      auto read = co_await shard.Read({taken->text});
      if (!read.ok()) co_return read.status();
      holder = (*read)[0];
    }
    if (holder && task_state::IsFinal(holder->task.status)) holder.reset();
    if (holder && (task.unique_policy == UniquePolicy::kReject ||
                   holder->task.status == TaskStatus::kRunning ||
                   // Arguments of one type mean nothing to another.
                   (task.unique_policy == UniquePolicy::kDebounce &&
                    holder->task.task_type != task.task_type))) {
      co_return Planned{UniqueKeyTaken(holder->task.task_id), {}};
    }
    batch.unique_keys.insert(unique_key);
  }
  if (holder) {
    RedisShard::Changed changed{*holder, *holder};
    out.debounced = task.unique_policy == UniquePolicy::kDebounce;
    absl::Status may =
        out.debounced ? task_state::Debounce(changed.after.task, task, now)
                      : task_state::Cancel(changed.after.task,
                                           "replaced by a later submit with its unique_key", now);
    if (!may.ok()) co_return Planned{may, {}};
    shard.RequireUnchanged(*holder, changes);
    absl::Status planned = co_await shard.Transition(
        &changed.before, changed.after,
        out.debounced ? std::string_view() : task_state::EventType(changed.after.task), changes);
    if (!planned.ok()) co_return planned;
    if (out.debounced) {
      out.task = changed.after.task;
    } else {
      out.replaced = changed.after.task;
      batch.replaced_ids.insert(changed.after.task.task_id);
      batch.replaced.push_back(std::move(changed));
    }
  }
  if (!out.debounced) {
    std::vector<std::string> waits_for;
    for (const std::string& id : task.depends_on) {
      if (batch.replaced_ids.contains(id)) {
        co_return Planned{DependencyEnded(id, TaskStatus::kCancelled), {}};
      }
      if (batch.created.contains(id)) {
        waits_for.push_back(id);
        continue;
      }
      const std::string packed = redis_codec::PackId(id);
      auto read = co_await shard.Read({packed});
      if (!read.ok()) co_return read.status();
      const std::optional<Stored>& on = (*read)[0];
      if (packed.empty() || !on || on->task.owner != task.owner || on->task.tenant != task.tenant) {
        co_return Planned{UnknownDependency(id), {}};
      }
      if (on->task.status == TaskStatus::kSucceeded) continue;
      if (task_state::IsFinal(on->task.status)) {
        co_return Planned{DependencyEnded(id, on->task.status), {}};
      }
      waits_for.push_back(id);
      batch.marked.emplace(id, *on);
    }
    Stored created;
    created.task = task_state::Create(task, now, waits_for);
    const std::string packed = redis_codec::PackId(task.task_id);
    for (const std::string& id : waits_for) {
      changes.Add("SADD", shard.Key("d:" + redis_codec::PackId(id)), packed);
    }
    created.has_dependents = batch.depended_on.contains(task.task_id);
    absl::Status planned = co_await shard.Transition(nullptr, created, "", changes);
    if (!planned.ok()) co_return planned;
    if (!unique_key.empty()) changes.Command({"SET", unique_key, packed});
    ++batch.created_count;
    out.task = created.task;
    batch.created.emplace(task.task_id, std::move(created));
  }
  if (!remember_request.empty()) {
    changes.Command({"SET", remember_request,
                     redis_codec::PackId(out.task.task_id) +
                         redis_codec::Number(static_cast<uint64_t>(absl::ToUnixMillis(now)), 6) +
                         task.fingerprint,
                     "PX", absl::StrCat(absl::ToInt64Milliseconds(kRequestIdTtl))});
    batch.requests[remember_request] = task.fingerprint;
    batch.request_ids[remember_request] = out.task.task_id;
  }
  co_return Planned{absl::OkStatus(), std::move(out)};
}

}  // namespace slipstream::task_queue
