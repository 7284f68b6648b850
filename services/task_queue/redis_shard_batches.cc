// RedisShard: the commits that travel together, plain submits and successes.
#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/redis/errors.h"
#include "libs/status/status.h"
#include "services/task_queue/redis_scripts.h"
#include "services/task_queue/redis_shard.h"

namespace slipstream::task_queue {

namespace {

constexpr size_t kMaxKnownKeysCount = 16;

}  // namespace

Async<std::vector<absl::Status>> RedisShard::Submit(std::vector<PlainSubmit> tasks) {
  return submits_.Run(std::move(tasks));
}

// A transaction costs Redis half of what the script does, where every byte goes through Lua, but
// cannot look at the total first. So the script is for when that is not known to leave room.
void RedisShard::RunSubmit(std::vector<PlainSubmit> tasks, Answer done) {
  Changes changes;
  const size_t count = tasks.size();
  std::vector<SubmitKeys> known;
  for (PlainSubmit& plain : tasks) {
    const TaskRecord& task = *plain.task;
    // A batch has few kinds; one is found by a look at those before it.
    auto keys = std::find_if(known.begin(), known.end(),
                             [&](const SubmitKeys& one) { return one.AreOf(task); });
    if (keys == known.end()) {
      if (known.size() >= kMaxKnownKeysCount) known.clear();
      keys = known.insert(known.end(), KeysOf(task));
    }
    changes.Set(BodyKey(plain.id), std::move(plain.body));
    changes.Add("RPUSH", keys->place.lane, std::move(plain.element));
    changes.Join(keys->place.ring, keys->place.tenant);
    changes.Add("RPUSH", keys->owner, std::move(plain.id));
    changes.Count(keys->counter, 1);
  }
  changes.Count(StatusCounter(TaskStatus::kPending), static_cast<int64_t>(count));
  const int64_t total = room_->total.load(std::memory_order_relaxed);
  const bool has_room =
      total >= 0 && total + static_cast<int64_t>(count) + room_margin_ <= max_tasks_count_;
  if (has_room && room_->may_use_transactions.load(std::memory_order_relaxed)) {
    SubmitByTransaction(std::move(changes), count, std::move(done));
  } else {
    SubmitByScript(std::move(changes), count, std::move(done));
  }
}

void RedisShard::SubmitByTransaction(Changes changes, size_t count, Answer done) {
  const size_t joins_count = changes.joins_count();
  std::vector<std::vector<std::string>> commands = std::move(changes).EncodeCommands(Key("n"));
  commands.push_back({"HINCRBY", Key("n"), "total", absl::StrCat(count)});
  auto answer = [this, joins_count, count,
                 done = std::move(done)](absl::StatusOr<redis::Value> reply) {
    if (!reply.ok()) {
      if (status::Reason(reply.status()) == redis::kNoPermission) {
        room_->may_use_transactions = false;
      }
    } else if (reply->size() > joins_count) {
      room_->total.store(reply->elements.back().integer, std::memory_order_relaxed);
      const bool joined =
          std::any_of(reply->elements.begin(),
                      reply->elements.begin() + static_cast<std::ptrdiff_t>(joins_count),
                      [](const redis::Value& one) { return one.integer == 1; });
      // For the workers of other servers; without it they look by themselves, later.
      if (joined) client_.Command(prefix_, {"PUBLISH", Key("news"), "W"}, [](const auto&) {});
    }
    done(std::vector<absl::Status>(count, reply.status()));
  };
  client_.Transaction(prefix_, std::move(commands), std::move(answer));
}

void RedisShard::SubmitByScript(Changes changes, size_t count, Answer done) {
  const auto delta = static_cast<int64_t>(count);
  changes.RequireRoom("total", delta, max_tasks_count_);
  changes.Count("total", delta);
  auto answer = [this, done = std::move(done), count](absl::StatusOr<redis::Value> reply) {
    absl::Status result = reply.status();
    if (reply.ok() && !reply->elements.empty()) result = QueueFull("task_queue.max_tasks_count");
    if (result.ok()) LearnTotal();
    done(std::vector<absl::Status>(count, result));
  };
  client_.Eval(redis_scripts::Apply(), {prefix_}, std::move(changes).Encode(Key("n")),
               std::move(answer));
}

// By a transaction that changes nothing, which tells as well whether transactions are allowed.
void RedisShard::LearnTotal() {
  if (max_tasks_count_ <= room_margin_ || !room_->may_use_transactions) return;
  client_.Transaction(
      prefix_, {{"HGET", Key("n"), "total"}}, [room = room_](absl::StatusOr<redis::Value> reply) {
        int64_t total = 0;
        if (reply.ok() && reply->size() == 1 && absl::SimpleAtoi((*reply)[0].text, &total)) {
          room->total.store(total, std::memory_order_relaxed);
        } else if (status::Reason(reply.status()) == redis::kNoPermission) {
          room->may_use_transactions = false;
        }
      });
}

Async<std::vector<absl::Status>> RedisShard::Succeed(std::vector<PlainSuccess> tasks) {
  return successes_.Run(std::move(tasks));
}

void RedisShard::RunSucceed(std::vector<PlainSuccess> tasks, Answer done) {
  std::vector<std::string> args;
  args.reserve(1 + 3 * tasks.size() + 16);
  args.push_back(absl::StrCat(tasks.size()));
  for (PlainSuccess& task : tasks) {
    args.push_back(task.id);
    args.push_back(task.fence);
    args.push_back(task.state);
  }
  // Runs of one session and of one bucket.
  const auto group = [&](const char* command, const char* prefix, auto PlainSuccess::* of) {
    for (size_t first = 0; first < tasks.size();) {
      size_t last = first;
      while (last + 1 < tasks.size() && tasks[last + 1].*of == tasks[first].*of) ++last;
      args.insert(args.end(), {command, absl::StrCat(prefix, tasks[first].*of),
                               absl::StrCat(first + 1), absl::StrCat(last + 1)});
      first = last + 1;
    }
  };
  group("SREM", "h:", &PlainSuccess::session_id);
  group("RPUSH", "f:", &PlainSuccess::bucket);
  auto kept = std::make_shared<std::vector<PlainSuccess>>(std::move(tasks));
  auto answer = [this, kept, done = std::move(done)](absl::StatusOr<redis::Value> reply) mutable {
    const size_t count = kept->size();
    if (!reply.ok() || reply->elements.empty()) {
      done(std::vector<absl::Status>(count, reply.status()));
      return;
    }
    // Nothing was changed: the others once more, without those whose fence is another.
    std::vector<bool> refused(count, false);
    for (const redis::Value& place : reply->elements) {
      if (place.integer >= 0 && static_cast<size_t>(place.integer) < count) {
        refused[static_cast<size_t>(place.integer)] = true;
      }
    }
    std::vector<PlainSuccess> rest;
    for (size_t i = 0; i < count; ++i) {
      if (!refused[i]) rest.push_back(std::move((*kept)[i]));
    }
    auto merge = [refused, done = std::move(done)](std::vector<absl::Status> results) {
      std::vector<absl::Status> all;
      auto next = results.begin();
      for (const bool was_refused : refused) {
        all.push_back(was_refused ? absl::AbortedError("changed meanwhile") : *next++);
      }
      done(std::move(all));
    };
    if (rest.empty()) {
      merge({});
    } else {
      RunSucceed(std::move(rest), std::move(merge));
    }
  };
  client_.Eval(redis_scripts::Succeed(), {prefix_}, std::move(args), std::move(answer));
}

}  // namespace slipstream::task_queue
