#include "services/task_queue/redis_shard.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/redis_scripts.h"
#include "services/task_queue/task_keys.h"

namespace slipstream::task_queue {

namespace {

constexpr int64_t kBucketMs = 1'000;

std::string DepthCounter(char kind, const TaskRecord& task) {
  return absl::StrCat(std::string(1, kind), ":", static_cast<int>(task.priority), ":",
                      task.task_type);
}

bool HasTimer(const TaskRecord& task) {
  return (task.status == TaskStatus::kScheduled && task.ready_at != absl::InfiniteFuture()) ||
         (task.status == TaskStatus::kPending && task.expires_at != absl::InfiniteFuture());
}

}  // namespace

std::string StatusCounter(TaskStatus status) { return absl::StrCat("s", static_cast<int>(status)); }

int64_t BucketOf(const TaskRecord& task) {
  const int64_t at = absl::ToUnixMillis(task.expires_at);
  return (at + kBucketMs - 1) / kBucketMs * kBucketMs;
}

absl::Status UnexpectedReply(std::string_view script) {
  return status::Error(
      absl::StatusCode::kInternal, "UNEXPECTED_REDIS_REPLY",
      absl::StrCat("Redis answered the script ", absl::string_view(script.data(), script.size()),
                   " with something else than it returns; are servers of "
                   "different releases at work?"));
}

RedisShard::RedisShard(redis::Client& client, std::string prefix, int64_t max_tasks_count,
                       int64_t room_margin, bool keeps_permits)
    : client_(client),
      prefix_(std::move(prefix)),
      max_tasks_count_(max_tasks_count),
      room_margin_(room_margin),
      keeps_permits_(keeps_permits),
      submits_(client.executor(), kMaxBatchCount, 2,
               [this](auto tasks, auto done) { RunSubmit(std::move(tasks), std::move(done)); }),
      successes_(client.executor(), kMaxBatchCount, 2,
                 [this](auto tasks, auto done) { RunSucceed(std::move(tasks), std::move(done)); }) {
}

Async<absl::StatusOr<redis::Value>> RedisShard::Eval(const redis::Script& script,
                                                     std::vector<std::string> args) {
  std::vector<std::string> keys(1, prefix_);
  return client_.Eval(script, std::move(keys), std::move(args));
}

Async<absl::StatusOr<redis::Value>> RedisShard::Command(std::vector<std::string> args) {
  return client_.Command(prefix_, std::move(args));
}

// --- reads

Async<absl::StatusOr<std::vector<std::optional<RedisShard::Stored>>>> RedisShard::Read(
    std::vector<std::string> ids) {
  std::vector<std::optional<Stored>> found(ids.size());
  if (ids.empty()) co_return found;
  std::vector<std::string> args = {"MGET"};
  for (const std::string& id : ids) args.push_back(BodyKey(id));
  for (const std::string& id : ids) args.push_back(StateKey(id));
  auto reply = co_await Command(std::move(args));
  if (!reply.ok()) co_return reply.status();
  if (reply->size() != 2 * ids.size()) co_return UnexpectedReply("MGET");
  for (size_t i = 0; i < ids.size(); ++i) {
    const redis::Value& body = (*reply)[i];
    const redis::Value& state = (*reply)[ids.size() + i];
    if (!body.is_string()) continue;
    absl::Status decoded = redis_codec::Decode(
        ids[i], body.text, state.is_string() ? std::string_view(state.text) : "",
        found[i].emplace());
    if (!decoded.ok()) co_return decoded;
  }
  co_return found;
}

// --- commits

Async<absl::StatusOr<bool>> RedisShard::Apply(Changes changes) {
  auto reply = co_await Eval(redis_scripts::Apply(), std::move(changes).Encode(Key("n")));
  if (!reply.ok()) co_return reply.status();
  co_return reply->elements.empty();
}

// --- from records to keys

RedisShard::LanePlace RedisShard::PlaceOf(const TaskRecord& task) const {
  std::string tenant = TenantKeyOf(task.owner, task.tenant);
  std::string lane = absl::StrCat(prefix_, "l:", static_cast<int>(task.priority), ":",
                                  task.task_type, ":", tenant);
  return {std::move(lane), absl::StrCat(prefix_, "r:", task.task_type), std::move(tenant)};
}

void RedisShard::PutInLane(const LanePlace& place, std::string element, bool front,
                           Changes& changes) const {
  changes.Add(front ? "LPUSH" : "RPUSH", place.lane, std::move(element));
  changes.Join(place.ring, place.tenant);
}

PlainSubmit RedisShard::Plain(const TaskRecord& task) const {
  std::string element = redis_codec::EncodeLaneElement(task, 0);
  std::string id = element.substr(0, redis_codec::kIdBytes);
  return {&task, std::move(id), redis_codec::EncodeBody(task), std::move(element)};
}

RedisShard::SubmitKeys RedisShard::KeysOf(const TaskRecord& task) const {
  return {&task, PlaceOf(task), absl::StrCat(prefix_, "u:", task.owner), DepthCounter('p', task)};
}

bool RedisShard::SubmitKeys::AreOf(const TaskRecord& task) const {
  return task.priority == first->priority && task.task_type == first->task_type &&
         task.owner == first->owner && task.tenant == first->tenant;
}

void RedisShard::RequireUnchanged(const Stored& stored, Changes& changes) const {
  const std::string id = redis_codec::PackId(stored.task.task_id);
  changes.RequireRange(StateKey(id), 0, redis_codec::kFenceBytes - 1, stored.fence);
  // Without a state nothing tells "as submitted" from "forgotten" but the body.
  if (stored.fence.empty()) changes.RequireRange(BodyKey(id), 0, 0, std::string(1, '\0'));
}

std::string RedisShard::RequestKey(const NewTask& task) const {
  return KeyOf("i:", RequestKeyOf(task));
}

std::string RedisShard::UniqueKey(std::string_view owner, std::string_view tenant,
                                  std::string_view key) const {
  return KeyOf("k:", UniqueKeyOf(owner, tenant, key));
}

Async<absl::Status> RedisShard::Transition(const Stored* before, Stored& after,
                                           std::string_view event, Changes& changes) {
  const TaskRecord& task = after.task;
  const std::string id = redis_codec::PackId(task.task_id);
  const bool was_running = before != nullptr && before->task.status == TaskStatus::kRunning;
  const bool is_pending = task.status == TaskStatus::kPending;
  const bool is_final = task_state::IsFinal(task.status);
  if (before != nullptr) ++after.place;
  if (was_running && task.status != TaskStatus::kRunning) {
    after.limited = false;
    // In the same step where that can be, so that no crash keeps it.
    if (before->limited && keeps_permits_) {
      changes.Command({"GIVE", before->task.session_id, task.task_type});
    }
  }

  // Whether there is a state at all: a plain new task has none.
  const bool as_submitted = before == nullptr && is_pending && !after.has_dependents;
  if (!as_submitted) changes.Set(StateKey(id), redis_codec::EncodeState(after));
  if (before == nullptr) {
    changes.Set(BodyKey(id), redis_codec::EncodeBody(task));
    changes.Add("RPUSH", Key("u:" + task.owner), id);
    changes.Count("total", 1);
  } else {
    if (before->task.args != task.args) {
      changes.Set(BodyKey(id), redis_codec::EncodeBody(task));  // debounced
    }
    changes.Count(StatusCounter(before->task.status), -1);
    if (before->task.status == TaskStatus::kPending) {
      changes.Count(DepthCounter('p', before->task), -1);
    }
    if (before->task.status == TaskStatus::kScheduled) {
      changes.Count(DepthCounter('q', before->task), -1);
    }
    if (was_running) changes.Add("SREM", Key("h:" + before->task.session_id), id);
    if (HasTimer(before->task) && !HasTimer(task)) changes.Add("ZREM", Key("z"), id);
    if (before->task.status == TaskStatus::kFailed) changes.Add("ZREM", Key("dl"), id);
  }
  changes.Count(StatusCounter(task.status), 1);
  if (is_pending) changes.Count(DepthCounter('p', task), 1);
  if (task.status == TaskStatus::kScheduled) changes.Count(DepthCounter('q', task), 1);
  if (HasTimer(task)) {
    changes.SortedAdd(Key("z"), absl::ToUnixMillis(task_state::NextDeadline(task)), id);
  }
  if (is_final) {
    const int64_t bucket = BucketOf(task);
    changes.Add("RPUSH", Key(absl::StrCat("f:", bucket)), id);
    changes.SortedAdd(Key("fb"), bucket, absl::StrCat(bucket));
    if (task.status == TaskStatus::kFailed) {
      changes.SortedAdd(Key("dl"), absl::ToUnixMillis(*task.finished_at), id);
    }
    if (!task.unique_key.empty()) {
      changes.Delete(UniqueKey(task.owner, task.tenant, task.unique_key));
    }
    if (after.has_dependents) changes.Add("SADD", Key("fl"), id);
  }
  if (!event.empty()) changes.Add("RPUSH", Key("o"), redis_codec::EncodeEvent(event, after));

  if (task.concurrency_key.empty()) {
    if (is_pending) {
      PutInLane(PlaceOf(task), redis_codec::EncodeLaneElement(task, after.place), was_running,
                changes);
    }
    co_return absl::OkStatus();
  }
  if (is_pending) co_return co_await TakeKey(after, was_running, changes);
  const bool had =
      before != nullptr && (before->task.status == TaskStatus::kPending || was_running);
  if (had) co_return co_await GiveKeyUp(after, changes);
  co_return absl::OkStatus();
}

// --- concurrency keys. A task that is PENDING in a lane or RUNNING has its key; one that waits for
// it lies in the key's own list and comes into its lane when the key is given up.

Async<absl::Status> RedisShard::TakeKey(const Stored& stored, bool front, Changes& changes) {
  const std::string name = ConcurrencyKeyOf(stored.task);
  const std::string id = redis_codec::PackId(stored.task.task_id);
  const std::string key = Key("c:" + name);
  auto holder = co_await Command({"GET", key});
  if (!holder.ok()) co_return holder.status();
  const LanePlace place = PlaceOf(stored.task);
  std::string element = redis_codec::EncodeLaneElement(stored.task, stored.place);
  changes.RequireValue(key, holder->text);
  auto [has, first] = changes.key_holders.try_emplace(key, holder->text);
  if (has->second.empty() || has->second == id) {
    if (has->second.empty()) changes.Command({"SET", key, id});
    has->second = id;
    PutInLane(place, std::move(element), front, changes);
    co_return absl::OkStatus();
  }
  // Element, then the lane and the ring without the prefix: enough to put it there later.
  std::string parked = std::move(element);
  parked += redis_codec::Number(place.lane.size(), 2) + place.lane;
  parked += redis_codec::Number(place.ring.size(), 2) + place.ring + place.tenant;
  changes.Add("RPUSH", Key("cq:" + name), std::move(parked));
  co_return absl::OkStatus();
}

Async<absl::Status> RedisShard::GiveKeyUp(const Stored& stored, Changes& changes) {
  constexpr int kMaxStaleCount = 1'000;
  const std::string name = ConcurrencyKeyOf(stored.task);
  const std::string id = redis_codec::PackId(stored.task.task_id);
  const std::string key = Key("c:" + name), list = Key("cq:" + name);
  auto holder = co_await Command({"GET", key});
  if (!holder.ok()) co_return holder.status();
  if (holder->text != id) co_return absl::OkStatus();
  changes.RequireValue(key, id);
  auto parked = co_await Command({"LRANGE", list, "0", absl::StrCat(kMaxStaleCount)});
  if (!parked.ok()) co_return parked.status();
  size_t stale = 0;
  std::optional<LanePlace> next;
  std::string next_id, next_element;
  for (const redis::Value& one : parked->elements) {
    const std::string_view text = one.text;
    const std::string element(text.substr(0, redis_codec::kLaneElementBytes));
    auto read = co_await Read({element.substr(0, redis_codec::kIdBytes)});
    if (!read.ok()) co_return read.status();
    const auto& waiting = (*read)[0];
    // By its place, as in a lane: the version has changed when others came to depend on it.
    if (waiting && waiting->task.status == TaskStatus::kPending &&
        redis_codec::PlaceOfLaneElement(element) == waiting->place) {
      std::string_view rest = text.substr(redis_codec::kLaneElementBytes);
      const size_t lane = redis_codec::ReadNumber(rest.substr(0, 2));
      const size_t ring = redis_codec::ReadNumber(rest.substr(2 + lane, 2));
      next = LanePlace{std::string(rest.substr(2, lane)), std::string(rest.substr(4 + lane, ring)),
                       std::string(rest.substr(4 + lane + ring))};
      next_element = element;
      next_id = element.substr(0, redis_codec::kIdBytes);
      RequireUnchanged(*waiting, changes);
      break;
    }
    ++stale;
  }
  changes.key_holders[key] = next_id;
  changes.RequireHead(list, parked->elements.empty() ? "" : parked->elements[0].text);
  const size_t taken = stale + (next ? 1 : 0);
  if (taken > 0) changes.Command({"LTRIM", list, absl::StrCat(taken), "-1"});
  if (next) {
    changes.Command({"SET", key, next_id});
    PutInLane(*next, std::move(next_element), false, changes);
  } else {
    changes.Delete(key);
  }
  co_return absl::OkStatus();
}

// --- read, change, commit

Async<absl::StatusOr<RedisShard::Changed>> RedisShard::Modify(std::string task_id, Change change) {
  constexpr int kMaxTriesCount = 32;
  const std::string id = redis_codec::PackId(task_id);
  if (id.empty()) co_return TaskNotFound(task_id);
  for (int i = 0; i < kMaxTriesCount; ++i) {
    auto read = co_await Read({id});
    if (!read.ok()) co_return read.status();
    if (!(*read)[0]) co_return TaskNotFound(task_id);
    Changed changed{*(*read)[0], *(*read)[0]};
    std::string event;
    if (absl::Status may = change(changed.after, event); !may.ok()) co_return may;
    if (changed.after.task.version == changed.before.task.version) co_return changed;
    Changes changes;
    RequireUnchanged(changed.before, changes);
    if (changed.after.task.status == changed.before.task.status &&
        changed.after.task.status == TaskStatus::kRunning) {
      // Progress: no key but the state depends on it.
      changes.Set(StateKey(id), redis_codec::EncodeState(changed.after));
      changes.Add("RPUSH", Key("o"), redis_codec::EncodeEvent(event, changed.after));
    } else {
      absl::Status planned = co_await Transition(&changed.before, changed.after, event, changes);
      if (!planned.ok()) co_return planned;
    }
    auto applied = co_await Apply(std::move(changes));
    if (!applied.ok()) co_return applied.status();
    if (*applied) co_return changed;
  }
  co_return status::WithRetryAfter(
      status::Error(absl::StatusCode::kUnavailable, "TASK_BUSY",
                    absl::StrCat("task ", task_id, " is being changed by many at once; try again")),
      absl::Milliseconds(100));
}

Async<absl::StatusOr<bool>> RedisShard::TellDependents(std::string id, int max_count,
                                                       absl::Time now,
                                                       std::vector<TaskRecord>& changed) {
  const std::string dependents = Key("d:" + id);
  auto ended = co_await Read({id});
  if (!ended.ok()) co_return ended.status();
  const auto& on = (*ended)[0];
  if (on && !task_state::IsFinal(on->task.status)) {
    // Restarted before they were told: they go on waiting.
    auto done = co_await Command({"SREM", Key("fl"), id});
    co_return done.ok() ? absl::StatusOr<bool>(false) : done.status();
  }
  const bool succeeded = on && on->task.status == TaskStatus::kSucceeded;
  const std::string uuid = redis_codec::UnpackId(id);
  auto waiting = co_await Command({"SRANDMEMBER", dependents, absl::StrCat(max_count)});
  if (!waiting.ok()) co_return waiting.status();
  for (const redis::Value& one : waiting->elements) {
    auto told =
        co_await Modify(redis_codec::UnpackId(one.text), [&](Stored& stored, std::string& event) {
          if (stored.task.status != TaskStatus::kScheduled) return absl::OkStatus();
          if (succeeded) {
            task_state::DependencySucceeded(stored.task, uuid, now);
            return absl::OkStatus();
          }
          absl::Status failed = task_state::DependencyFailed(stored.task, uuid, now);
          if (failed.ok()) event = std::string(task_state::EventType(stored.task));
          return absl::OkStatus();
        });
    if (!told.ok() && !absl::IsNotFound(told.status())) co_return told.status();
    if (told.ok() && told->after.task.version != told->before.task.version) {
      changed.push_back(told->after.task);
    }
    auto removed = co_await Command({"SREM", dependents, one.text});
    if (!removed.ok()) co_return removed.status();
  }
  if (static_cast<int>(waiting->size()) >= max_count) co_return true;
  auto done = co_await Command({"SREM", Key("fl"), id});
  if (!done.ok()) co_return done.status();
  co_return false;
}

}  // namespace slipstream::task_queue
