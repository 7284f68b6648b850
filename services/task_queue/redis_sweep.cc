// RedisTaskStore: what time brings. Any server may sweep; two that do it at once do the same
// changes, of which the fences let one through.
#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/redis_scripts.h"
#include "services/task_queue/redis_task_store.h"

namespace slipstream::task_queue {

namespace {

constexpr int kMaxToldCount = 100;
constexpr int kTrimOwnedCount = 128;

std::vector<std::string> TextsOf(const redis::Value& value) {
  std::vector<std::string> texts;
  for (const redis::Value& one : value.elements) texts.push_back(one.text);
  return texts;
}

bool IsOver(const TaskRecord& task, absl::Time now) {
  return task_state::IsFinal(task.status) && task.expires_at <= now;
}

}  // namespace

Async<absl::StatusOr<SweepResult>> RedisTaskStore::Sweep(absl::Time now, int max_count,
                                                         double jitter) {
  Sweeping sweeping{now, max_count, jitter, {}};
  for (const auto& shard : shards_) {
    absl::Status swept = co_await SweepShard(*shard, sweeping);
    if (!sweeping.GoesOn(swept)) co_return swept;
  }
  // After the sessions: a lost worker is no missed deadline, which would cost an attempt.
  absl::Status overdue = co_await EndOverdue(sweeping);
  if (!sweeping.GoesOn(overdue)) co_return overdue;
  co_return std::move(sweeping.result);
}

Async<absl::Status> RedisTaskStore::SweepShard(RedisShard& shard, Sweeping& sweeping) {
  const int room = sweeping.max_count - sweeping.done_count();
  if (room <= 0) {
    sweeping.result.more = true;
    co_return absl::OkStatus();
  }
  auto due = co_await shard.Eval(
      redis_scripts::Due(), {absl::StrCat(absl::ToUnixMillis(sweeping.now)),
                             absl::StrCat(absl::ToInt64Milliseconds(
                                 std::min(options_.session_clock_step, absl::Hours(24 * 365)))),
                             absl::StrCat(room), options_.forget_waits_for_outbox ? "1" : "0"});
  if (!due.ok()) co_return due.status();
  if (due->size() != 4) co_return UnexpectedReply("Due");
  for (const redis::Value& session : (*due)[0].elements) {
    absl::Status ended = co_await EndSession(shard, session, sweeping);
    if (!sweeping.GoesOn(ended)) co_return ended;
  }
  for (const redis::Value& id : (*due)[1].elements) {
    if (sweeping.done_count() >= sweeping.max_count) break;
    absl::Status run = co_await RunTimer(shard, id.text, sweeping);
    if (!sweeping.GoesOn(run)) co_return run;
  }
  for (const redis::Value& flow : (*due)[2].elements) {
    auto more = co_await shard.TellDependents(flow[0].text, kMaxToldCount, sweeping.now,
                                              sweeping.result.changed);
    if (!sweeping.GoesOn(more.status())) co_return more.status();
    // Those that were told may have dependents of their own.
    if (more.ok()) sweeping.result.more = true;
  }
  if ((*due)[3].size() == 2) {
    absl::Status forgotten = co_await ForgetBucket(shard, (*due)[3], sweeping);
    if (!sweeping.GoesOn(forgotten)) co_return forgotten;
  }
  if (sweeping.done_count() >= sweeping.max_count) sweeping.result.more = true;
  co_return co_await BoundOutbox(shard);
}

Async<absl::Status> RedisTaskStore::EndSession(RedisShard& shard, const redis::Value& ended,
                                               Sweeping& sweeping) {
  const std::string session = ended[0].text, score = ended[1].text;
  const std::string held_key = shard.Key("h:" + session);
  for (const redis::Value& id : ended[2].elements) {
    const std::string uuid = redis_codec::UnpackId(id.text);
    int64_t epoch = 0;
    auto changed =
        co_await shard.Modify(uuid, [&](Stored& stored, std::string& event) -> absl::Status {
          if (stored.task.status != TaskStatus::kRunning || stored.task.session_id != session) {
            return absl::OkStatus();
          }
          epoch = stored.task.lease_epoch;
          absl::Status lost = task_state::LoseLease(stored.task, sweeping.now);
          event = std::string(task_state::EventType(stored.task));
          return lost;
        });
    if (!changed.ok() && !absl::IsNotFound(changed.status())) co_return changed.status();
    if (changed.ok() && changed->before.task.version != changed->after.task.version) {
      sweeping.result.ended_leases.push_back({{uuid, session, epoch}, task_state::kStaleLease});
      sweeping.result.changed.push_back(changed->after.task);
      absl::Status after =
          co_await AfterChange(shard, *changed, sweeping.now, &sweeping.result.changed);
      if (!after.ok()) co_return after;
    } else {
      auto removed = co_await shard.Command({"SREM", held_key, id.text});
      if (!removed.ok()) co_return removed.status();
    }
  }
  auto left = co_await shard.Command({"SCARD", held_key});
  if (!left.ok()) co_return left.status();
  if (left->integer > 0) {
    sweeping.result.more = true;
    co_return absl::OkStatus();
  }
  if (&shard == shards_[0].get()) {
    // Permits that a crash kept from being given back.
    auto permits = co_await PermitsOf(session);
    if (!permits.ok()) co_return permits.status();
    std::vector<std::string> args;
    for (const auto& [type, count] : *permits) {
      args.insert(args.end(), {type, absl::StrCat(-count), "0", "0"});
    }
    if (!args.empty()) {
      auto back = co_await Permits(session, sweeping.now, "", std::move(args));
      if (!back.ok()) co_return back.status();
    }
  }
  Changes changes;
  changes.RequireScore(shard.Key("s"), session, score);
  changes.Add("ZREM", shard.Key("s"), session);
  changes.Add("HDEL", shard.Key("S"), session);
  changes.Delete(held_key);
  changes.Delete(shard.Key("pm:" + session));
  auto applied = co_await shard.Apply(std::move(changes));
  co_return applied.status();
}

Async<absl::Status> RedisTaskStore::RunTimer(RedisShard& shard, std::string id,
                                             Sweeping& sweeping) {
  bool stale = false;
  auto changed = co_await shard.Modify(
      redis_codec::UnpackId(id), [&](Stored& stored, std::string& event) -> absl::Status {
        TaskRecord& task = stored.task;
        stale = false;
        if (task.status == TaskStatus::kScheduled && task.ready_at <= sweeping.now) {
          // Becoming ready at the time asked for is no news to the owner.
          return task_state::MakeReady(task, sweeping.now);
        }
        if (task.status == TaskStatus::kPending && task.expires_at <= sweeping.now) {
          absl::Status expired = task_state::Expire(task, sweeping.now);
          event = std::string(task_state::EventType(task));
          return expired;
        }
        stale = task.status != TaskStatus::kScheduled && task.status != TaskStatus::kPending;
        return absl::OkStatus();
      });
  if (absl::IsNotFound(changed.status())) stale = true;
  if (!changed.ok() && !stale) co_return changed.status();
  if (stale) {
    auto removed = co_await shard.Command({"ZREM", shard.Key("z"), id});
    co_return removed.status();
  }
  if (changed->before.task.version == changed->after.task.version) co_return absl::OkStatus();
  sweeping.result.changed.push_back(changed->after.task);
  co_return co_await AfterChange(shard, *changed, sweeping.now, &sweeping.result.changed);
}

// Attempts over their deadline. Whoever serves the worker looks after them: when this server dies
// the worker's next one reads what it holds, or the session ends.
Async<absl::Status> RedisTaskStore::EndOverdue(Sweeping& sweeping) {
  std::vector<LeaseKey> overdue;
  {
    sync::MutexLock lock(mu_);
    if (next_overdue_ > sweeping.now) co_return absl::OkStatus();
    absl::Time next = absl::InfiniteFuture();
    for (const auto& [id, stored] : leased_) {
      const TaskRecord& task = stored->task;
      if (task.attempt_deadline_at > sweeping.now) {
        next = std::min(next, task.attempt_deadline_at);
      } else if (static_cast<int>(overdue.size()) < sweeping.max_count) {
        overdue.push_back({task.task_id, task.session_id, task.lease_epoch});
      } else {
        next = std::min(next, sweeping.now);
      }
    }
    next_overdue_ = next;
  }
  for (const LeaseKey& lease : overdue) {
    auto reported = co_await ReportOne(
        lease, ReportKind::kFailure,
        [&](Stored& stored, std::string& event) -> absl::Status {
          absl::Status failed = task_state::FailAttempt(
              stored.task, task_state::Overdue(stored.task, sweeping.jitter), options_.retry,
              sweeping.now);
          event = std::string(task_state::EventType(stored.task));
          return failed;
        },
        sweeping.now);
    if (!reported.ok()) {
      sync::MutexLock lock(mu_);
      next_overdue_ = sweeping.now;
      co_return reported.status();
    }
    if (!reported->status.ok() || reported->repeated) continue;
    sweeping.result.ended_leases.push_back({lease, task_state::kDeadlineExceeded});
    sweeping.result.changed.push_back(reported->task);
  }
  co_return absl::OkStatus();
}

// --- forgetting

// How many were there still.
Async<absl::StatusOr<int64_t>> RedisTaskStore::Forget(RedisShard& shard,
                                                      const std::vector<Stored>& tasks) {
  int64_t count = 0;
  std::set<std::string> owners;
  constexpr size_t kMaxTogetherCount = 256;
  for (size_t begin = 0; begin < tasks.size(); begin += kMaxTogetherCount) {
    const size_t end = std::min(tasks.size(), begin + kMaxTogetherCount);
    Changes changes;
    for (size_t i = begin; i < end; ++i) {
      const TaskRecord& task = tasks[i].task;
      const std::string id = redis_codec::PackId(task.task_id);
      shard.RequireUnchanged(tasks[i], changes);
      changes.Delete(shard.BodyKey(id));
      changes.Delete(shard.StateKey(id));
      if (task.status == TaskStatus::kFailed) changes.Add("ZREM", shard.Key("dl"), id);
      changes.Count("total", -1);
      changes.Count(absl::StrCat("s", static_cast<int>(task.status)), -1);
      owners.insert(task.owner);
    }
    auto applied = co_await shard.Apply(std::move(changes));
    if (!applied.ok()) co_return applied.status();
    if (*applied) count += static_cast<int64_t>(end - begin);
  }
  for (const std::string& owner : owners) {
    int64_t gone = kTrimOwnedCount;
    while (gone == kTrimOwnedCount) {
      auto trimmed =
          co_await shard.Eval(redis_scripts::TrimOwned(), {owner, absl::StrCat(kTrimOwnedCount)});
      if (!trimmed.ok()) co_return trimmed.status();
      gone = trimmed->integer;
    }
  }
  co_return count;
}

Async<absl::Status> RedisTaskStore::ForgetBucket(RedisShard& shard, const redis::Value& over,
                                                 Sweeping& sweeping) {
  const std::string bucket = over[0].text;
  const std::vector<std::string> ids = TextsOf(over[1]);
  auto read = co_await shard.Read(ids);
  if (!read.ok()) co_return read.status();
  std::vector<Stored> gone;
  std::set<std::string> seen;
  for (auto& one : *read) {
    // One that was restarted is here too, but lives on.
    if (one && IsOver(one->task, sweeping.now) && seen.insert(one->task.task_id).second) {
      gone.push_back(*std::move(one));
    }
  }
  auto count = co_await Forget(shard, gone);
  if (!count.ok()) co_return count.status();
  sweeping.result.forgotten_count += *count;
  const std::string list = shard.Key("f:" + bucket);
  Changes changes;
  if (!ids.empty()) {
    changes.RequireHead(list, ids[0]);
    changes.Command({"LTRIM", list, absl::StrCat(ids.size()), "-1"});
    sweeping.result.more = true;
  } else {
    changes.RequireHead(list, "");
    changes.Add("ZREM", shard.Key("fb"), bucket);
  }
  auto applied = co_await shard.Apply(std::move(changes));
  co_return applied.status();
}

Async<absl::StatusOr<CleanupResult>> RedisTaskStore::Cleanup(const CleanupQuery& query,
                                                             absl::Time now) {
  constexpr int kPageCount = 500;
  CleanupResult result;
  const bool by_end = query.finished_before != absl::InfinitePast();
  for (const auto& shard : shards_) {
    auto buckets =
        co_await shard->Command({"ZRANGEBYSCORE", shard->Key("fb"), "-inf",
                                 by_end ? "+inf" : absl::StrCat(absl::ToUnixMillis(now))});
    if (!buckets.ok()) co_return buckets.status();
    for (const redis::Value& bucket : buckets->elements) {
      for (int first = 0;; first += kPageCount) {
        if (result.removed_count >= query.max_count) {
          result.more = true;
          co_return result;
        }
        auto page =
            co_await shard->Command({"LRANGE", shard->Key("f:" + bucket.text), absl::StrCat(first),
                                     absl::StrCat(first + kPageCount - 1)});
        if (!page.ok()) co_return page.status();
        if (page->elements.empty()) break;
        auto read = co_await shard->Read(TextsOf(*page));
        if (!read.ok()) co_return read.status();
        std::vector<Stored> gone;
        std::set<std::string> seen;
        for (auto& one : *read) {
          if (!one || !task_state::IsFinal(one->task.status)) continue;
          const bool over =
              by_end ? *one->task.finished_at < query.finished_before : one->task.expires_at <= now;
          const bool room =
              result.removed_count + static_cast<int64_t>(gone.size()) < query.max_count;
          if (over && !room) result.more = true;
          if (over && room && seen.insert(one->task.task_id).second)
            gone.push_back(*std::move(one));
        }
        if (query.dry_run) {
          result.removed_count += static_cast<int64_t>(gone.size());
        } else {
          auto count = co_await Forget(*shard, gone);
          if (!count.ok()) co_return count.status();
          result.removed_count += *count;
        }
        if (result.more) co_return result;
      }
    }
  }
  co_return result;
}

Async<absl::StatusOr<PurgeResult>> RedisTaskStore::Purge(const PurgeQuery& query, absl::Time now) {
  PurgeResult result;
  const auto wanted = [&](const TaskRecord& task) {
    return (query.task_type == "*" || task.task_type == query.task_type) &&
           (!query.tenant || task.tenant == *query.tenant) &&
           std::find(query.statuses.begin(), query.statuses.end(), task.status) !=
               query.statuses.end();
  };
  for (const auto& shard : shards_) {
    // An administrator's call that looks at every task: by SCAN, a bounded step at a time.
    std::string cursor = "0";
    std::set<std::string> seen;
    do {
      auto page =
          co_await shard->Command({"SCAN", cursor, "MATCH", shard->Key("t:*"), "COUNT", "500"});
      if (!page.ok()) co_return page.status();
      if (page->size() != 2) co_return UnexpectedReply("SCAN");
      cursor = (*page)[0].text;
      std::vector<std::string> ids;
      const size_t prefix = shard->Key("t:").size();
      for (const redis::Value& key : (*page)[1].elements) {
        if (key.text.size() > prefix) ids.push_back(key.text.substr(prefix));
      }
      auto read = co_await shard->Read(ids);
      if (!read.ok()) co_return read.status();
      for (auto& one : *read) {
        if (!one || !wanted(one->task) || !seen.insert(one->task.task_id).second) continue;
        if (result.purged_count >= query.max_count) {
          result.more = true;
          co_return result;
        }
        ++result.purged_count;
        if (query.dry_run) continue;
        Stored last = *one;
        if (!task_state::IsFinal(one->task.status)) {
          auto changed = co_await shard->Modify(
              one->task.task_id, [&](Stored& stored, std::string& event) -> absl::Status {
                if (!wanted(stored.task)) return absl::AbortedError("no longer");
                absl::Status cancelled =
                    task_state::Cancel(stored.task, "purged by an administrator", now);
                event = std::string(task_state::EventType(stored.task));
                return cancelled;
              });
          if (absl::IsAborted(changed.status()) || absl::IsNotFound(changed.status())) {
            --result.purged_count;
            continue;
          }
          if (!changed.ok()) co_return changed.status();
          absl::Status after = co_await AfterChange(*shard, *changed, now, nullptr);
          if (!after.ok()) co_return after;
          last = changed->after;
          last.fence = redis_codec::FenceOf(last.task);
        }
        auto count = co_await Forget(*shard, {last});
        if (!count.ok()) co_return count.status();
        last.task.args = nullptr;
        result.purged.push_back(std::move(last.task));
      }
    } while (cursor != "0");
  }
  co_return result;
}

}  // namespace slipstream::task_queue
