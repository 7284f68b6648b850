// RedisShard: the tasks of some tenants in Redis, under one hash tag.
//
// It knows the keys, reads tasks, and turns a change of a record into what it does to the keys
// (Transition). What a change is, task_state.h decides; that nothing came in between, the fence.
//
// Keys, each behind the prefix "<name>{<number>}:":
//   t:<id> x:<id>            body and state of a task (redis_codec.h)
//   l:<priority>:<type>:<tenant>   list: a lane of waiting tasks
//   r:<type>                 sorted set: tenants with waiting tasks by pass; v: pass served last
//   h:<session>              set: what a session holds; s: sorted set of sessions; S: their users
//   z                        sorted set: tasks that change by time alone
//   f:<time> fb              list of ended tasks by the time they are forgotten; the times
//   u:<owner> ub             list of an owner's tasks; how many are gone from its front
//   i:<request> k:<unique>   strings: request ids and unique keys
//   c:<key> cq:<key>         who has a concurrency key, and the list of those that wait for it
//   d:<id> fl                sets: who depends on a task; ended tasks with dependents to be told
//   dl                       sorted set: FAILED tasks by their end (dead letters); e: last epoch
//   o ob ol                  outbox: the list, entries acknowledged before it, who forwards
//   n m p                    hashes of counters and of clocks; set of paused types
//   pt pb pm:<session>       permits of types with limits (shard 0)
//
// Thread safety: all methods from any thread.
#ifndef SERVICES_TASK_QUEUE_REDIS_SHARD_H_
#define SERVICES_TASK_QUEUE_REDIS_SHARD_H_

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/async/async.h"
#include "libs/redis/client.h"
#include "services/task_queue/redis_batcher.h"
#include "services/task_queue/redis_changes.h"
#include "services/task_queue/redis_codec.h"
#include "services/task_queue/task_store.h"

namespace slipstream::task_queue {

// A submit without options that need a look at other keys: most.
struct PlainSubmit {
  const TaskRecord* task;  // lives until the answer
  std::string id;          // packed
  std::string body;
  std::string element;
};

// A success of a task that holds nothing but its lease.
struct PlainSuccess {
  std::string session_id;
  std::string id;  // packed
  std::string fence;
  std::string state;
  int64_t bucket = 0;
};

class RedisShard {
 public:
  using Stored = redis_codec::Stored;

  static constexpr size_t kMaxBatchCount = 512;  // plain submits, or successes

  // `room_margin`: see RedisTaskStoreOptions. `keeps_permits`: the one shard that counts what types
  // with limits run, over all shards.
  RedisShard(redis::Client& client, std::string prefix, int64_t max_tasks_count,
             int64_t room_margin, bool keeps_permits);
  RedisShard(const RedisShard&) = delete;
  RedisShard& operator=(const RedisShard&) = delete;

  const std::string& prefix() const { return prefix_; }
  bool keeps_permits() const { return keeps_permits_; }
  std::string Key(std::string_view suffix) const { return KeyOf(suffix, ""); }
  std::string BodyKey(std::string_view id) const { return KeyOf("t:", id); }
  std::string StateKey(std::string_view id) const { return KeyOf("x:", id); }

  Async<absl::StatusOr<redis::Value>> Eval(const redis::Script& script,
                                           std::vector<std::string> args);
  Async<absl::StatusOr<redis::Value>> Command(std::vector<std::string> args);

  // One per id (packed), nullopt for an unknown one.
  Async<absl::StatusOr<std::vector<std::optional<Stored>>>> Read(std::vector<std::string> ids);

  // False: a condition did not hold, and nothing was changed.
  Async<absl::StatusOr<bool>> Apply(Changes changes);

  Async<std::vector<absl::Status>> Submit(std::vector<PlainSubmit> tasks);
  // kAborted for a task whose fence is another: nothing was changed for it.
  Async<std::vector<absl::Status>> Succeed(std::vector<PlainSuccess> tasks);

  // --- from records to keys

  PlainSubmit Plain(const TaskRecord& task) const;
  // The change is valid only while the task is as it was read.
  void RequireUnchanged(const Stored& stored, Changes& changes) const;
  // What a change of `before` (null: a new task) to `after` does; increments after's place.
  // `event` is what the owner is told, empty for nothing. Reads what it needs to know of the
  // concurrency key; REQUIRES that RequireUnchanged(before) is among the conditions.
  Async<absl::Status> Transition(const Stored* before, Stored& after, std::string_view event,
                                 Changes& changes);
  // Reads, lets `change` at it and commits; again when something came in between. `change` answers
  // OK with an event in `event`, or the error to return. The record as it is afterwards.
  struct Changed {
    Stored before, after;
  };
  using Change = std::function<absl::Status(Stored&, std::string& event)>;
  Async<absl::StatusOr<Changed>> Modify(std::string task_id, Change change);

  // Tells those that depend on an ended task, at most `max_count` of them; true when there are
  // more. Changed records are added to `changed`.
  Async<absl::StatusOr<bool>> TellDependents(std::string id, int max_count, absl::Time now,
                                             std::vector<TaskRecord>& changed);

  std::string RequestKey(const NewTask& task) const;
  std::string UniqueKey(std::string_view owner, std::string_view tenant,
                        std::string_view key) const;

 private:
  struct LanePlace {
    std::string lane, ring, tenant;  // two keys, and the ring's member
  };
  // The keys of a plain submit; those of one type, priority and owner have the same.
  struct SubmitKeys {
    const TaskRecord* first;
    LanePlace place;
    std::string owner, counter;
    bool AreOf(const TaskRecord& task) const;
  };
  std::string KeyOf(std::string_view kind, std::string_view name) const {
    std::string key;
    key.reserve(prefix_.size() + kind.size() + name.size());
    return key.append(prefix_).append(kind).append(name);
  }
  LanePlace PlaceOf(const TaskRecord& task) const;
  SubmitKeys KeysOf(const TaskRecord& task) const;
  void PutInLane(const LanePlace& place, std::string element, bool front, Changes& changes) const;
  Async<absl::Status> TakeKey(const Stored& task, bool front, Changes& changes);
  Async<absl::Status> GiveKeyUp(const Stored& task, Changes& changes);
  using Answer = std::function<void(std::vector<absl::Status>)>;
  void RunSubmit(std::vector<PlainSubmit> tasks, Answer done);
  void SubmitByTransaction(Changes changes, size_t count, Answer done);
  void SubmitByScript(Changes changes, size_t count, Answer done);
  void LearnTotal();
  void RunSucceed(std::vector<PlainSuccess> tasks, Answer done);

  redis::Client& client_;
  const std::string prefix_;
  const int64_t max_tasks_count_;
  const int64_t room_margin_;
  const bool keeps_permits_;
  // What decides how a submit is made. Outlives the shard where an answer that nobody waits for
  // does.
  struct Room {
    // The tasks of this shard when Redis last told; below 0: not known.
    std::atomic<int64_t> total{-1};
    std::atomic<bool> may_use_transactions{true};
  };
  const std::shared_ptr<Room> room_ = std::make_shared<Room>();
  Batcher<PlainSubmit, absl::Status> submits_;
  Batcher<PlainSuccess, absl::Status> successes_;
};

// When an ended task is forgotten, in ms, rounded up: tasks of one second share a list.
int64_t BucketOf(const TaskRecord& task);
std::string StatusCounter(TaskStatus status);  // field of the hash of counters
absl::Status UnexpectedReply(std::string_view script);

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_REDIS_SHARD_H_
