// What the history does in Redis, each in one step. KEYS[1] is the base of one partition,
// "prefix{notify:P}:", under which all its keys lie (one hash tag, so one node of a cluster):
//
//   m            hash: r run_id of the server, g the life of the data on it
//   c:CHANNEL    hash: e epoch, h head (offset of the last event), g life at its last use, n
//   counter
//                of progress, a earlier epochs that this one goes on from: "EPOCH:LAST,..."
//   s:CHANNEL    stream OFFSET-0 {t: time_ms, e: event (redis_event.h)}
//   p:CHANNEL    hash: task -> its latest progress: "after_offset:n:time_ms:" event
//   k:CHANNEL\nKEY    idempotency key: "until_ms:epoch:offset:" event_id
//   a:READER\nCHANNEL acknowledged: "epoch:offset"
// and the channel `hint`, sharded on a cluster of Redis 7: what was appended (redis_event.h,
// DecodeHints), which saves a read to who saw all before it and tells everybody else to read.
//
// A server that started anew or took over may have lost the last writes, and new events take
// offsets that others have had. So with every change of run_id each channel goes on under a new
// epoch, which names the earlier one and up to where both are the same: a cursor from before the
// change that is not beyond that place misses nothing, one beyond it does and is told so. (Redis's
// own replication does it this way: replid2 and second_replid_offset.)
//
// Times are the callers' clocks, in ms since 1970; nodes whose clocks differ forget earlier or
// later by the difference, no more.
//
// Thread safety: immutable.
#ifndef SERVICES_NOTIFICATION_REDIS_HISTORY_SCRIPTS_H_
#define SERVICES_NOTIFICATION_REDIS_HISTORY_SCRIPTS_H_

#include "libs/redis/script.h"

namespace slipstream::notification::redis_history_scripts {

// All begin with (seed: 16 random hexadecimal digits, now_ms, ttl_ms) and have their own behind.

// (events_count, keys_ttl_ms, then per event: channel, kind, key, event_id, task, event) -> per
// event {duplicate, event_id, epoch, offset}. Kind: "p" progress, "e" ends its task, "n" neither.
// Offset 0 and no epoch for progress.
extern const redis::Script& Append();
// (per channel: channel, reader | "", epoch | "", offset, own) -> per channel {epoch, head, lost,
// earlier epochs, n, {offset, event, ...}, {after_offset, n, event, ...}}. With own = 1 the place
// is one that a node has seen: an offset beyond the head is proof of a lost tail and begins an
// epoch.
extern const redis::Script& Read();
// (per channel: channel, reader, epoch | "", offset) -> per channel the count of kept events beyond
// what the reader has acknowledged.
extern const redis::Script& Acknowledge();

// Bounds, as the scripts have them: a channel remembers 16 earlier epochs and the progress of 64
// tasks.

}  // namespace slipstream::notification::redis_history_scripts

#endif  // SERVICES_NOTIFICATION_REDIS_HISTORY_SCRIPTS_H_
