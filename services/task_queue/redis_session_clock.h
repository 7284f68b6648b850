// A piece of the scripts that ask whether a worker's session lives. A macro, since it becomes a
// part of each script's text, whose hash is its name to Redis.
#ifndef SERVICES_TASK_QUEUE_REDIS_SESSION_CLOCK_H_
#define SERVICES_TASK_QUEUE_REDIS_SESSION_CLOCK_H_

// The session clock runs only while somebody looks, at most `step` at a time: an outage of Redis
// or of all servers costs no session its lease, and a server whose clock runs ahead can't end
// another's sessions early. Milliseconds, in the hash "m".
#define SLIPSTREAM_LUA_SESSION_CLOCK \
  R"(
local function session_clock(base, now, step)
  local m = redis.call('HMGET', base .. 'm', 'q', 'l')
  local q, last = tonumber(m[1] or '0'), tonumber(m[2] or now)
  if now > last then
    q = q + math.min(now - last, step)
    last = now
    redis.call('HSET', base .. 'm', 'q', string.format('%.0f', q), 'l', string.format('%.0f', last))
  elseif not m[2] then
    redis.call('HSET', base .. 'm', 'q', '0', 'l', string.format('%.0f', last))
  end
  return q
end
local function session_alive(base, session, now, step)
  local until_q = redis.call('ZSCORE', base .. 's', session)
  return until_q and tonumber(until_q) > session_clock(base, now, step)
end
)"

#endif  // SERVICES_TASK_QUEUE_REDIS_SESSION_CLOCK_H_
