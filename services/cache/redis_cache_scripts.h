// What the cache does in Redis, each in one step. KEYS[1] is the base, "prefix{cache}:", under
// which all keys lie (one hash tag, so one node of a cluster):
//
//   m        hash: g generation, r run_id of the server that it was made at, gt when (ms), o offset
//   of
//            the latest invalidation, e of the latest eviction, f of the latest glob, v latest
//            version, b bytes held, n counter of renewals, s:SLOT epoch of a tag slot (an offset)
//   c        hash: ! the generation; nNODE renewal and aNODE confirmed offset of each node with a
//            lease; fOFFSET a glob at work
//   q        sorted set: id by end and size (kSizeUnits), and "!" at the end
//   v:ID     a value (redis_entry.h); l:ID a lease: token, offset when granted, version seen
//   log      stream OFFSET-1 {r: Invalidation::Encode}, the latest kMaxLogCount
// and channels: log (generation offset record), ack (offset node), key (ids whose lease has ended).
//
// A generation is one life of this data. A server that started anew or took over may have lost the
// end of what was written; whatever was stored or promised under the generation before counts no
// more. Redis may also evict single keys: m and c name the generation and q has its mark, and what
// finds one without begins a new generation.
//
// Most scripts take the caller's generation as ARGV[1] and answer {"GEN"} when it is over, with
// nothing done. Those that must not fail when Redis is out of memory begin with a write that Redis
// never refuses; those that store begin with one that it does, before anything is changed.
//
// Thread safety: immutable.
#ifndef SERVICES_CACHE_REDIS_CACHE_SCRIPTS_H_
#define SERVICES_CACHE_REDIS_CACHE_SCRIPTS_H_

#include "libs/redis/script.h"

namespace slipstream::cache::redis_cache_scripts {

// Invalidations that the stream keeps for nodes that missed them; who missed more empties itself.
inline constexpr int kMaxLogCount = 10'000;
// Patterns at work at once.
inline constexpr int kMaxGlobsCount = 64;
// A q score is end_s * kSizeUnits + size / kSizeUnitBytes.
inline constexpr int kSizeUnits = 1 << 20;
inline constexpr int kSizeUnitBytes = 8;
// Entries that one Set makes give way at most.
inline constexpr int kMaxEvictedCount = 16;

// () -> generation. Makes a new one if need be. For each new connection.
extern const redis::Script& Greet();
// (node) -> {generation, offset, age_ms, {slot, epoch, ...}, {offset, glob, ...},
// time_ms}: registers the
// node as one that has confirmed everything.
extern const redis::Script& Join();
// (generation, node, confirmed) -> {OK, offset, bytes, entries, {node, renewal, ...},
// time_ms} | {GONE}
extern const redis::Script& Renew();
// (generation, node, confirmed)
extern const redis::Script& Confirm();
// (generation, needed, node, renewal | "", ...) -> {OK, answer, ...}: C confirmed, L lapsed (those
// whose renewal is still the one named are taken off the list), else the renewal.
extern const redis::Script& Poll();
// (generation, node)
extern const redis::Script& Leave();

// (generation, id...) -> {OK, value | nil, ...}
extern const redis::Script& Read();
// (generation, id, now_ms, px, if_version | "", token | "", size_units, end16, slots5, body,
// record,
//  max_bytes, not after this time_ms) -> {LATE} | {OK, version, replaced, needed, kept, {node,
//  renewal, ...}, logged} | {VERSION, present} | {FILL, present}. The nodes are those that have not
//  confirmed `needed`, which is the record's own offset if it was logged.
extern const redis::Script& Set();
// (generation, id, now_ms, record) -> {OK, version, existed, offset, {node, renewal, ...}}; the
// version is a new one that no value has.
extern const redis::Script& Erase();
// (generation, record, slots5, glob?) -> {OK, offset, {node, renewal, ...}} | {FULL}
extern const redis::Script& Invalidate();
// (generation, offset of a glob)
extern const redis::Script& Retire();
// (generation, id, token, px, seen version, now_ms, not after this time_ms) -> {OK} | {HELD} |
// {CHANGED} | {LATE}
extern const redis::Script& Lease();
// (generation, id, token)
extern const redis::Script& EndLease();
// (generation, cursor, head_bytes) -> {OK, cursor, id, head of the value, ...}: a walk over q.
extern const redis::Script& Walk();
// (generation, id, version, ...): removes values that are still the ones named.
extern const redis::Script& Drop();

}  // namespace slipstream::cache::redis_cache_scripts

#endif  // SERVICES_CACHE_REDIS_CACHE_SCRIPTS_H_
