// Permits of types with limits. The hash pm:<session> has, by type, what a session holds and what
// is on its way to a lease; the hash pt the same over all sessions. Beside the types:
//   #moves       grows whenever a permit is taken or becomes a lease
//   #taken_back  grows whenever permits that no lease has were taken from the session
#include "services/task_queue/redis_scripts.h"
#include "services/task_queue/redis_session_clock.h"

namespace slipstream::task_queue::redis_scripts {

namespace {

constexpr char kPermits[] = SLIPSTREAM_LUA_SESSION_CLOCK R"(
local base, session, now = KEYS[1], ARGV[1], tonumber(ARGV[2])
local mine = base .. 'pm:' .. session
local taken_back = redis.call('HGET', mine, '#taken_back') or '0'
local valid = ARGV[4] == '' or ARGV[4] == taken_back
local answer = {taken_back}
for i = 5, #ARGV, 4 do
  local name, wanted = ARGV[i], tonumber(ARGV[i + 1])
  local running, starts = tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  if wanted < 0 then
    local given = 0
    if valid then
      given = math.max(0, math.min(-wanted, tonumber(redis.call('HGET', mine, name) or '0')))
    end
    if given > 0 then
      redis.call('HINCRBY', mine, name, -given)
      redis.call('HINCRBY', base .. 'pt', name, -given)
    end
    -- Starts that did not happen go back into the bucket too.
    if starts > 0 then
      local level = tonumber(redis.call('HGET', base .. 'pb', name) or starts)
      redis.call('HSET', base .. 'pb', name, tostring(math.min(starts, level - wanted)))
    end
    answer[#answer + 1] = given
  elseif not session_alive(base, session, now, tonumber(ARGV[3])) then
    -- Nobody would ever take them back.
    return 'SESSION'
  else
    local free = wanted
    if running > 0 then
      free = math.min(free, running - tonumber(redis.call('HGET', base .. 'pt', name) or '0'))
    end
    if starts > 0 then
      local m = redis.call('HMGET', base .. 'pb', name, name .. '@')
      local level, at = tonumber(m[1] or starts), tonumber(m[2] or now)
      if now > at then level = math.min(starts, level + (now - at) * starts / 60000) end
      free = math.min(free, math.floor(level + 1e-6))
      redis.call('HSET', base .. 'pb', name, tostring(level - math.max(0, free)),
                 name .. '@', string.format('%.0f', math.max(now, at)))
    end
    free = math.max(0, free)
    if free > 0 then
      redis.call('HINCRBY', mine, name, free)
      redis.call('HINCRBY', mine, '#moves', 1)
      redis.call('HINCRBY', base .. 'pt', name, free)
    end
    answer[#answer + 1] = free
  end
end
return answer
)";

constexpr char kTakeBack[] = R"(
local base = KEYS[1]
local mine = base .. 'pm:' .. ARGV[1]
if (redis.call('HGET', mine, '#moves') or '0') ~= ARGV[2] then return 0 end
for i = 3, #ARGV, 3 do
  if redis.call('HGET', mine, ARGV[i]) ~= ARGV[i + 1] then return 0 end
end
for i = 3, #ARGV, 3 do
  redis.call('HINCRBY', mine, ARGV[i], -ARGV[i + 2])
  redis.call('HINCRBY', base .. 'pt', ARGV[i], -ARGV[i + 2])
end
redis.call('HINCRBY', mine, '#taken_back', 1)
return 1
)";

}  // namespace

const redis::Script& Permits() {
  static const redis::Script script(kPermits, false);
  return script;
}

const redis::Script& TakeBack() {
  static const redis::Script script(kTakeBack, false);
  return script;
}

}  // namespace slipstream::task_queue::redis_scripts
