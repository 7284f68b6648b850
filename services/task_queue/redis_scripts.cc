#include "services/task_queue/redis_scripts.h"

#include "services/task_queue/redis_session_clock.h"

namespace slipstream::task_queue::redis_scripts {

namespace {

constexpr char kApply[] = R"(
local base = KEYS[1]
local call = redis.call
local n = tonumber(ARGV[1])
local i = 2
local failed = {}
for c = 0, n - 1 do
  local kind = ARGV[i]
  if kind == 'R' then
    if call('GETRANGE', ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]) ~= ARGV[i + 4] then
      failed[#failed + 1] = c
    end
    i = i + 5
  elseif kind == 'V' then
    if (call('GET', ARGV[i + 1]) or '') ~= ARGV[i + 2] then failed[#failed + 1] = c end
    i = i + 3
  elseif kind == 'C' then
    local count = tonumber(call('HGET', base .. 'n', ARGV[i + 1]) or '0')
    if count + tonumber(ARGV[i + 2]) > tonumber(ARGV[i + 3]) then failed[#failed + 1] = c end
    i = i + 4
  elseif kind == 'H' then
    if (call('LINDEX', ARGV[i + 1], 0) or '') ~= ARGV[i + 2] then failed[#failed + 1] = c end
    i = i + 3
  else
    if (call('ZSCORE', ARGV[i + 1], ARGV[i + 2]) or '') ~= ARGV[i + 3] then
      failed[#failed + 1] = c
    end
    i = i + 4
  end
end
if #failed > 0 then return failed end
local joined = false
local last = #ARGV
while i <= last do
  local count = tonumber(ARGV[i])
  if ARGV[i + 1] == 'JOIN' then
    local pass = call('GET', base .. 'v') or '0'
    if call('ZADD', ARGV[i + 2], 'NX', pass, ARGV[i + 3]) == 1 then joined = true end
  elseif ARGV[i + 1] == 'GIVE' then
    local mine, name = base .. 'pm:' .. ARGV[i + 2], ARGV[i + 3]
    if tonumber(call('HGET', mine, name) or '0') > 0 then
      call('HINCRBY', mine, name, -1)
      call('HINCRBY', base .. 'pt', name, -1)
    end
  else
    call(unpack(ARGV, i + 1, i + count))
  end
  i = i + count + 1
end
if joined then call('PUBLISH', base .. 'news', 'W') end
return failed
)";

constexpr char kSucceed[] = R"(
local base = KEYS[1]
local call = redis.call
local sub = string.sub
local n = tonumber(ARGV[1])
local keys, set, ids = {}, {}, {}
local at = 2
for k = 1, n do
  local id = ARGV[at]
  local key = base .. 'x:' .. id
  ids[k] = id
  keys[k] = key
  set[2 * k - 1] = key
  set[2 * k] = ARGV[at + 2]
  at = at + 3
end
local was = call('MGET', unpack(keys))
local failed = {}
for k = 1, n do
  if not was[k] or sub(was[k], 1, 9) ~= ARGV[3 * k] then failed[#failed + 1] = k - 1 end
end
if #failed > 0 then return failed end
call('MSET', unpack(set))
-- Groups: what to do with a range of the tasks.
while ARGV[at] do
  local first, last = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  call(ARGV[at], base .. ARGV[at + 1], unpack(ids, first, last))
  if ARGV[at] == 'RPUSH' then
    local bucket = sub(ARGV[at + 1], 3)
    call('ZADD', base .. 'fb', bucket, bucket)
  end
  at = at + 4
end
call('RPUSH', base .. 'o', 'D' .. table.concat(ids))
call('HINCRBY', base .. 'n', 's3', -n)
call('HINCRBY', base .. 'n', 's4', n)
return failed
)";

constexpr char kSessions[] = SLIPSTREAM_LUA_SESSION_CLOCK R"(
local base = KEYS[1]
local q = session_clock(base, tonumber(ARGV[1]), tonumber(ARGV[2]))
local answer = {}
for i = 3, #ARGV, 4 do
  local id, alive = ARGV[i + 1], true
  if ARGV[i] ~= 'O' then
    local until_q = redis.call('ZSCORE', base .. 's', id)
    alive = until_q and tonumber(until_q) > q
  else
    redis.call('HSET', base .. 'S', id, ARGV[i + 3])
  end
  if alive and ARGV[i] ~= 'F' then
    redis.call('ZADD', base .. 's', string.format('%.0f', q + tonumber(ARGV[i + 2])), id)
  end
  answer[#answer + 1] = alive and 1 or 0
end
return answer
)";

constexpr char kDue[] = SLIPSTREAM_LUA_SESSION_CLOCK R"(
local base, now, max = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[3])
local q = session_clock(base, now, tonumber(ARGV[2]))
local sessions = {}
local ended = redis.call('ZRANGEBYSCORE', base .. 's', '-inf', q, 'WITHSCORES', 'LIMIT', 0, 16)
for i = 1, #ended, 2 do
  sessions[#sessions + 1] =
    {ended[i], ended[i + 1], redis.call('SRANDMEMBER', base .. 'h:' .. ended[i], max)}
end
local timers = redis.call('ZRANGEBYSCORE', base .. 'z', '-inf', now, 'LIMIT', 0, max)
local flows = {}
for _, id in ipairs(redis.call('SRANDMEMBER', base .. 'fl', 16)) do
  flows[#flows + 1] = {id, redis.call('SRANDMEMBER', base .. 'd:' .. id, max)}
end
-- Ended tasks are kept until their events have been forwarded, which reads them: until the outbox
-- has gone past where its end was when their time was over.
local bucket = redis.call('ZRANGEBYSCORE', base .. 'fb', '-inf', now, 'LIMIT', 0, 1)[1]
local over = {}
if bucket then
  local free = ARGV[4] == '0'
  if not free then
    local first = tonumber(redis.call('GET', base .. 'ob') or '0')
    local m = redis.call('HMGET', base .. 'm', 'ft', 'fg')
    local passed = not m[2] or first >= tonumber(m[2])
    free = passed and m[1] and tonumber(bucket) <= tonumber(m[1])
    if passed and not free then
      local gate = first + redis.call('LLEN', base .. 'o')
      redis.call('HSET', base .. 'm', 'ft', ARGV[1], 'fg', string.format('%.0f', gate))
      free = gate == first
    end
  end
  if free then over = {bucket, redis.call('LRANGE', base .. 'f:' .. bucket, 0, max - 1)} end
end
return {sessions, timers, flows, over}
)";

constexpr char kOwned[] = R"(
local base, owner, count = KEYS[1], ARGV[1], tonumber(ARGV[3])
local key = base .. 'u:' .. owner
local first = tonumber(redis.call('HGET', base .. 'ub', owner) or '0')
local stop = first + redis.call('LLEN', key)
if ARGV[2] ~= '' and tonumber(ARGV[2]) < stop then stop = tonumber(ARGV[2]) end
local start = math.max(first, stop - count)
if start >= stop then return {start, {}} end
return {start, redis.call('LRANGE', key, start - first, stop - first - 1)}
)";

constexpr char kTrimOwned[] = R"(
local base, owner = KEYS[1], ARGV[1]
local key = base .. 'u:' .. owner
local ids = redis.call('LRANGE', key, 0, tonumber(ARGV[2]) - 1)
local gone = 0
for _, id in ipairs(ids) do
  if redis.call('EXISTS', base .. 't:' .. id) == 1 then break end
  gone = gone + 1
end
if gone > 0 then
  redis.call('LTRIM', key, gone, -1)
  if redis.call('EXISTS', key) == 1 then
    redis.call('HINCRBY', base .. 'ub', owner, gone)
  else
    redis.call('HDEL', base .. 'ub', owner)
  end
end
return gone
)";

constexpr char kReadOutbox[] = R"(
local base, owner = KEYS[1], ARGV[1]
local holder = redis.call('GET', base .. 'ol')
if holder and holder ~= owner then return 'TAKEN' end
redis.call('SET', base .. 'ol', owner, 'PX', ARGV[2])
local first = tonumber(redis.call('GET', base .. 'ob') or '0')
local skip = math.max(0, tonumber(ARGV[3]) - first)
return {first + skip, redis.call('LRANGE', base .. 'o', skip, skip + tonumber(ARGV[4]) - 1)}
)";

constexpr char kAckOutbox[] = R"(
local base = KEYS[1]
local first = tonumber(redis.call('GET', base .. 'ob') or '0')
local count = math.min(tonumber(ARGV[1]) - first, redis.call('LLEN', base .. 'o'))
if count <= 0 then return 0 end
redis.call('LTRIM', base .. 'o', count, -1)
redis.call('SET', base .. 'ob', string.format('%.0f', first + count))
return count
)";

constexpr char kOldest[] = R"(
local base = KEYS[1]
local answer = {}
for i = 1, #ARGV, 2 do
  local oldest = ''
  for _, tenant in ipairs(redis.call('ZRANGE', base .. 'r:' .. ARGV[i], 0, 99)) do
    local head = redis.call('LINDEX', base .. 'l:' .. ARGV[i + 1] .. ':' .. ARGV[i] .. ':' .. tenant, 0)
    if head then
      local ready = string.sub(head, 25, 30)
      if oldest == '' or ready < oldest then oldest = ready end
    end
  end
  answer[#answer + 1] = oldest
end
return answer
)";

}  // namespace

#define SLIPSTREAM_SCRIPT_THAT(Name, commits)            \
  const redis::Script& Name() {                          \
    static const redis::Script script(k##Name, commits); \
    return script;                                       \
  }
#define SLIPSTREAM_SCRIPT(Name) SLIPSTREAM_SCRIPT_THAT(Name, false)
#define SLIPSTREAM_COMMIT(Name) SLIPSTREAM_SCRIPT_THAT(Name, true)

SLIPSTREAM_COMMIT(Apply)
SLIPSTREAM_COMMIT(Succeed)
SLIPSTREAM_SCRIPT(Sessions)
SLIPSTREAM_SCRIPT(Due)
SLIPSTREAM_SCRIPT(Owned)
SLIPSTREAM_SCRIPT(TrimOwned)
SLIPSTREAM_SCRIPT(ReadOutbox)
SLIPSTREAM_SCRIPT(AckOutbox)
SLIPSTREAM_SCRIPT(Oldest)

#undef SLIPSTREAM_COMMIT
#undef SLIPSTREAM_SCRIPT
#undef SLIPSTREAM_SCRIPT_THAT

}  // namespace slipstream::task_queue::redis_scripts
