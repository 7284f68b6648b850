// The Lua scripts of the Redis task store. They know nothing of a task's life: what a task becomes
// is decided by task_state.h in the server; a script only does what must be atomic.
//
// Apply and Succeed are commits (redis::Script): what others are told of waits for the replicas
// that task_queue.redis_wait_replicas_count asks for. A lease does not: losing one costs a run.
//
// Every script has one key, KEYS[1]: the shard's prefix with its hash tag. Every other key it
// touches is that prefix and a suffix, so all of a shard is in one slot of a cluster. Each is
// bounded by its arguments, none by the length of a queue.
//
// Thread safety: immutable.
#ifndef SERVICES_TASK_QUEUE_REDIS_SCRIPTS_H_
#define SERVICES_TASK_QUEUE_REDIS_SCRIPTS_H_

#include <string_view>

#include "libs/redis/script.h"

namespace slipstream::task_queue::redis_scripts {

// A batch of changes, all or none. ARGV: count of conditions, the conditions, the effects.
//   R key first last value    the bytes [first, last] of a string are `value` (the fence)
//   V key value               a string is `value`; "" for none
//   C field delta limit       a counter may grow by `delta` up to `limit`
//   H key element             the head of a list is `element`; "" for an empty list
//   Z key member score        a sorted set's score; "" for no member
// An effect is its argument count and a Redis command, or JOIN ring tenant: the tenant begins to
// wait in a ring, at the pass that was served last; or GIVE session type: a permit goes back, if
// the session has one (one that was taken from it meanwhile is not given back twice). Answers the
// indexes of conditions that do not hold, from 0; empty when the batch was applied.
const redis::Script& Apply();

// Leases up to `max` waiting tasks of a session's types. ARGV: session, max, now in ms, aging step
// in ms, longest step of the session clock in ms, "\1" when the types have limits or "\0", the mark
// of the permits ("" without any, or where another shard has them), types. Answers the epoch, how
// many elements were passed over (stale or expired), the lane elements, and the bodies and states
// as before the lease; or "SESSION" when the session is gone, "PERMITS" when its permits were taken
// back.
const redis::Script& Reserve();

// Ends leases as SUCCEEDED, all or none; for tasks that hold nothing else (no key, no dependents,
// no permit). ARGV: count, then per task: id, fence, state; then groups of tasks: "SREM" with
// "h:<session>" or "RPUSH" with "f:<bucket>", first and last place (from 1). Answers the places
// (from 0) of tasks whose fence is another.
const redis::Script& Succeed();

// Opens or renews sessions. ARGV: now, longest step, then per session: "O", "R" or "F" (only
// looks), id, lease in ms, user. Answers 1 or 0 (gone) for each.
const redis::Script& Sessions();

// What time has brought. ARGV: now, longest step, max, "0" when ended tasks need not wait for the
// outbox. Answers ended sessions with what they hold,
// due timers, ended tasks with dependents, and ended tasks whose time is over. Changes nothing but
// the session clock.
const redis::Script& Due();

// A page of an owner's tasks. ARGV: owner, position before which to read ("" for the newest),
// count. Answers the position of the first id given and the ids, oldest first.
const redis::Script& Owned();

// Forgets leading ids of an owner's list whose tasks are gone. ARGV: owner, max.
const redis::Script& TrimOwned();

// The outbox. ARGV: owner of the lock, lock time in ms, after, count. Answers the sequence before
// the first entry given and the entries, or "TAKEN".
const redis::Script& ReadOutbox();
// ARGV: sequence up to which to forget.
const redis::Script& AckOutbox();

// How long tasks wait. ARGV: pairs of type and priority. Answers when the oldest of each became
// ready (6 bytes, or ""), looking at the 100 tenants that are served next.
const redis::Script& Oldest();

// Permits for tasks of types with limits, of one session. ARGV: session, now in ms, step of the
// session clock in ms, the mark that permits given back were taken under ("" when a lease ended:
// always valid), then per type: name, wanted (negative: given back), running limit, starts per
// minute. Answers today's mark and the permits given (taken back) of each, or SESSION: it has ended
// and is given none.
const redis::Script& Permits();
// Takes permits from a session that no lease has. ARGV: session, its `#moves` from before its
// leases were read, then per type: name, permits as read, permits too many. Answers 0, and does
// nothing, when something has changed since; else 1: whoever was given these permits can't lease by
// them.
const redis::Script& TakeBack();
// Whether a field of a session's permits is none of a type.
inline bool IsPermitMark(std::string_view field) { return field.starts_with('#'); }

}  // namespace slipstream::task_queue::redis_scripts

#endif  // SERVICES_TASK_QUEUE_REDIS_SCRIPTS_H_
