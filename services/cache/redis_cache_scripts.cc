#include "services/cache/redis_cache_scripts.h"

#include <string>

namespace slipstream::cache::redis_cache_scripts {

namespace {

// The keys, and numbers as text without an exponent.
constexpr char kBase[] = R"(
local call = redis.call
local base = KEYS[1]
local m, c, q, log = base .. 'm', base .. 'c', base .. 'q', base .. 'log'
local g = ARGV[1]
local function fmt(x) return string.format('%.0f', x) end
local function pad(x) return string.format('%016.0f', x) end
-- A write that Redis takes even when it is out of memory, and after which it takes the others.
local function small_write() call('DEL', base .. 'x') end
)";

// A hash or set that was evicted takes the generation with it.
constexpr char kState[] = R"(
local function lost()
  small_write()
  call('HDEL', m, 'g')
  return {'GEN'}
end
local function marked() return call('HGET', c, '!') == g and call('ZSCORE', q, '!') end
)";

constexpr char kCheckServer[] = R"(
local function check_server()
  local run_id = string.match(call('INFO', 'server'), 'run_id:(%x+)')
  local seen = call('HMGET', m, 'g', 'r', 'v')
  if seen[1] and seen[2] == run_id and call('HGET', c, '!') == seen[1] and
     call('ZSCORE', q, '!') then
    return seen[1]
  end
  local t = call('TIME')
  local now_us = tonumber(t[1]) * 1000000 + tonumber(t[2])
  local made = string.sub(redis.sha1hex(run_id .. fmt(now_us) .. (seen[1] or '')), 1, 16)
  small_write()
  local v = math.max(tonumber(seen[3] or '0'), now_us)
  call('HSET', m, 'g', made, 'r', run_id, 'gt', fmt(now_us / 1000), 'v', fmt(v))
  call('HSETNX', m, 'o', '1')
  -- Who had confirmed what, and the patterns at work, were of values that count no more.
  call('DEL', c, log)
  call('HSET', c, '!', made)
  if not call('ZSCORE', q, '!') then
    call('ZADD', q, '+inf', '!')
    if call('ZCARD', q) == 1 then call('HSET', m, 'b', '0') end
  end
  return made
end
)";

constexpr char kAnnounce[] = R"(
local function announce(o, record)
  call('XADD', log, 'MAXLEN', '~', 10000, fmt(o) .. '-1', 'r', record)
  call('PUBLISH', base .. 'log', g .. pad(o) .. record)
end
-- Nodes that have not confirmed an offset, each with its renewal.
local function pending(needed)
  local out, acks = {}, {}
  local all = call('HGETALL', c)
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 1) == 'a' then acks[string.sub(all[i], 2)] = tonumber(all[i + 1]) end
  end
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 1) == 'n' then
      local node = string.sub(all[i], 2)
      if (acks[node] or 0) < needed then
        out[#out + 1] = node
        out[#out + 1] = all[i + 1]
      end
    end
  end
  return out
end
)";

// A value's head: generation 16, version 16, as_of 16, end 16, count of slots 2, slots 5 each.
constexpr char kValue[] = R"(
local function tags_newer(slots, as_of)
  if slots == '' then return false end
  local fields = {}
  for i = 1, #slots, 5 do fields[#fields + 1] = 's:' .. string.sub(slots, i, i + 4) end
  for _, epoch in ipairs(call('HMGET', m, unpack(fields))) do
    if epoch and tonumber(epoch) > as_of then return true end
  end
  return false
end
-- The version, as a number, of the live value.
local function alive(id, now)
  local head = call('GETRANGE', base .. 'v:' .. id, 0, 150)
  if #head < 66 or string.sub(head, 1, 16) ~= g then return nil end
  if tonumber(string.sub(head, 49, 64)) <= now then return nil end
  local slots = string.sub(head, 67, 66 + 5 * tonumber(string.sub(head, 65, 66)))
  if tags_newer(slots, tonumber(string.sub(head, 33, 48))) then return nil end
  return tonumber(string.sub(head, 17, 32))
end
local function size_of(score) return tonumber(score) % 1048576 * 8 end
)";

constexpr char kJoin[] = R"(
local node = ARGV[1]
g = check_server()
small_write()
if ARGV[2] ~= '' then call('HDEL', c, 'n' .. ARGV[2], 'a' .. ARGV[2]) end
local s = call('HMGET', m, 'o', 'gt')
call('HSET', c, 'n' .. node, call('HINCRBY', m, 'n', 1), 'a' .. node, s[1])
local t = call('TIME')
local age_ms = tonumber(t[1]) * 1000 + tonumber(t[2]) / 1000 - tonumber(s[2])
local epochs, globs = {}, {}
local all = call('HGETALL', m)
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 2) == 's:' then
    epochs[#epochs + 1] = string.sub(all[i], 3)
    epochs[#epochs + 1] = all[i + 1]
  end
end
all = call('HGETALL', c)
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 1) == 'f' then
    globs[#globs + 1] = string.sub(all[i], 2)
    globs[#globs + 1] = all[i + 1]
  end
end
return {g, s[1], fmt(age_ms), epochs, globs, fmt(tonumber(t[1]) * 1000 + tonumber(t[2]) / 1000)}
)";

constexpr char kRenew[] = R"(
if check_server() ~= g then return {'GEN'} end
local node = ARGV[2]
if not call('HGET', c, 'n' .. node) then return {'GONE'} end
small_write()
call('HSET', c, 'n' .. node, call('HINCRBY', m, 'n', 1), 'a' .. node, ARGV[3])
local s = call('HMGET', m, 'o', 'b')
local t = call('TIME')
return {'OK', s[1], s[2] or '0', call('ZCARD', q) - 1, pending(math.huge),
        fmt(tonumber(t[1]) * 1000 + tonumber(t[2]) / 1000)}
)";

constexpr char kConfirm[] = R"(
if call('HGET', m, 'g') ~= g or call('HGET', c, '!') ~= g then return {'GEN'} end
local node = ARGV[2]
if not call('HGET', c, 'n' .. node) then return {'GONE'} end
small_write()
if tonumber(call('HGET', c, 'a' .. node) or '0') < tonumber(ARGV[3]) then
  call('HSET', c, 'a' .. node, ARGV[3])
end
call('PUBLISH', base .. 'ack', pad(ARGV[3]) .. node)
return {'OK'}
)";

constexpr char kPoll[] = R"(
if call('HGET', m, 'g') ~= g or call('HGET', c, '!') ~= g then return {'GEN'} end
local needed = tonumber(ARGV[2])
local out = {'OK'}
for i = 3, #ARGV, 2 do
  local node, renewal = ARGV[i], ARGV[i + 1]
  local s = call('HMGET', c, 'n' .. node, 'a' .. node)
  if not s[1] then
    out[#out + 1] = 'L'
  elseif tonumber(s[2] or '0') >= needed then
    out[#out + 1] = 'C'
  elseif s[1] == renewal then
    call('HDEL', c, 'n' .. node, 'a' .. node)
    out[#out + 1] = 'L'
  else
    out[#out + 1] = s[1]
  end
end
return out
)";

constexpr char kLeave[] = R"(
if call('HGET', c, '!') == g then call('HDEL', c, 'n' .. ARGV[2], 'a' .. ARGV[2]) end
return {'OK'}
)";

constexpr char kRead[] = R"(
if call('HGET', m, 'g') ~= g then return {'GEN'} end
local out = {'OK'}
for i = 2, #ARGV do out[i] = call('GET', base .. 'v:' .. ARGV[i]) end
return out
)";

constexpr char kSet[] = R"(
local id, now = ARGV[2], tonumber(ARGV[3])
local s = call('HMGET', m, 'g', 'o', 'e', 'f', 'b')
if s[1] ~= g then return {'GEN'} end
-- Its caller was told that it failed: a hung server must not store it after what came later.
local t = call('TIME')
if tonumber(t[1]) * 1000 + tonumber(t[2]) / 1000 > tonumber(ARGV[13]) then return {'LATE'} end
if not marked() then return lost() end
local present = alive(id, now)
if ARGV[5] ~= '' and tonumber(ARGV[5]) ~= (present or 0) then
  return {'VERSION', fmt(present or 0)}
end
local o, token = tonumber(s[2]), ARGV[6]
local as_of = o
if token ~= '' then
  local lease = call('GET', base .. 'l:' .. id)
  if not lease or string.sub(lease, 1, -33) ~= token then
    return {'FILL', fmt(present or 0)}
  end
  as_of = tonumber(string.sub(lease, -32, -17))
  if (present and present ~= tonumber(string.sub(lease, -16))) or
     tonumber(s[4] or '0') > as_of or tags_newer(ARGV[9], as_of) then
    return {'FILL', fmt(present or 0)}
  end
end
-- The first write: refused when Redis is out of memory.
local v = call('HINCRBY', m, 'v', 1)
local needed = tonumber(s[3] or '0')
local old_score = call('ZSCORE', q, id)
call('SET', base .. 'v:' .. id,
     g .. pad(v) .. pad(as_of) .. ARGV[8] .. string.format('%02d', #ARGV[9] / 5) .. ARGV[9] ..
     ARGV[10], 'PX', ARGV[4])
local end_s = math.floor(tonumber(ARGV[8]) / 1000)
local score = end_s * 1048576 + tonumber(ARGV[7])
call('ZADD', q, fmt(score), id)
local b = tonumber(s[5] or '0') + size_of(score)
if old_score then b = b - size_of(old_score) end
local woken = call('DEL', base .. 'l:' .. id) == 1
local ended = call('ZRANGEBYSCORE', q, '-inf', fmt((math.floor(now / 1000) - 5) * 1048576),
                   'WITHSCORES', 'LIMIT', 0, 8)
for i = 1, #ended, 2 do
  call('DEL', base .. 'v:' .. ended[i])
  call('ZREM', q, ended[i])
  b = b - size_of(ended[i + 1])
end
local max, evicted, kept = tonumber(ARGV[12]), 0, 1
while b > max and evicted < 16 do
  -- What ends first gives way, and the new one only when nothing else is left.
  local first = call('ZRANGE', q, 0, 1, 'WITHSCORES')
  local victim, its_score = first[1], first[2]
  if victim == id then victim, its_score = first[3], first[4] end
  if not victim or victim == '!' then break end
  call('DEL', base .. 'v:' .. victim)
  call('ZREM', q, victim)
  b = b - size_of(its_score)
  o = o + 1
  announce(o, 'E' .. victim)
  call('HSET', m, 'e', fmt(o))
  evicted = evicted + 1
end
if kept == 1 and b > max then
  call('DEL', base .. 'v:' .. id)
  call('ZREM', q, id)
  b = b - size_of(score)
  kept = 0
end
if old_score then
  o = o + 1
  needed = o
  announce(o, ARGV[11])
elseif woken then
  call('PUBLISH', base .. 'key', id)
end
call('HSET', m, 'o', fmt(o), 'b', fmt(b))
return {'OK', fmt(v), present and 1 or 0, fmt(needed), kept, pending(needed), old_score and 1 or 0}
)";

constexpr char kErase[] = R"(
local id = ARGV[2]
if call('HGET', m, 'g') ~= g then return {'GEN'} end
if not marked() then return lost() end
local present = alive(id, tonumber(ARGV[3]))
call('DEL', base .. 'v:' .. id, base .. 'l:' .. id)
local score = call('ZSCORE', q, id)
if score then
  call('ZREM', q, id)
  call('HINCRBY', m, 'b', fmt(-size_of(score)))
end
local o = call('HINCRBY', m, 'o', 1)
call('HSET', m, 'e', fmt(o))
announce(o, ARGV[4])
return {'OK', fmt(call('HINCRBY', m, 'v', 1)), present and 1 or 0, fmt(o), pending(o)}
)";

constexpr char kInvalidate[] = R"(
if call('HGET', m, 'g') ~= g then return {'GEN'} end
if not marked() then return lost() end
local record, slots, glob = ARGV[2], ARGV[3], ARGV[4] ~= nil
if glob then
  local count = 0
  for _, field in ipairs(call('HKEYS', c)) do
    if string.sub(field, 1, 1) == 'f' then count = count + 1 end
  end
  if count >= 64 then return {'FULL'} end
end
small_write()
local o = call('HINCRBY', m, 'o', 1)
for i = 1, #slots, 5 do call('HSET', m, 's:' .. string.sub(slots, i, i + 4), fmt(o)) end
if glob then
  call('HSET', m, 'f', fmt(o))
  call('HSET', c, 'f' .. fmt(o), record)
end
announce(o, record)
return {'OK', fmt(o), pending(o)}
)";

constexpr char kRetire[] = R"(
if call('HGET', m, 'g') ~= g or call('HGET', c, '!') ~= g then return {'GEN'} end
small_write()
if call('HDEL', c, 'f' .. ARGV[2]) == 1 then
  announce(call('HINCRBY', m, 'o', 1), 'R' .. ARGV[2])
end
return {'OK'}
)";

constexpr char kLease[] = R"(
if call('HGET', m, 'g') ~= g then return {'GEN'} end
-- Its caller went on without: under a lease granted now, what it computed before would be stored.
local t = call('TIME')
if tonumber(t[1]) * 1000 + tonumber(t[2]) / 1000 > tonumber(ARGV[7]) then return {'LATE'} end
local id = ARGV[2]
if (alive(id, tonumber(ARGV[6])) or 0) ~= tonumber(ARGV[5]) then return {'CHANGED'} end
local lease = ARGV[3] .. pad(call('HGET', m, 'o')) .. pad(ARGV[5])
if not call('SET', base .. 'l:' .. id, lease, 'NX', 'PX', ARGV[4]) then return {'HELD'} end
return {'OK'}
)";

constexpr char kEndLease[] = R"(
local id = ARGV[2]
local lease = call('GET', base .. 'l:' .. id)
if lease and string.sub(lease, 1, -33) == ARGV[3] then
  call('DEL', base .. 'l:' .. id)
  call('PUBLISH', base .. 'key', id)
end
return {'OK'}
)";

constexpr char kWalk[] = R"(
if call('HGET', m, 'g') ~= g then return {'GEN'} end
local page = call('ZSCAN', q, ARGV[2], 'COUNT', 50)
local out = {'OK', page[1]}
for i = 1, #page[2], 2 do
  local id = page[2][i]
  if id ~= '!' then
    out[#out + 1] = id
    out[#out + 1] = call('GETRANGE', base .. 'v:' .. id, 0, tonumber(ARGV[3]) - 1)
  end
end
return out
)";

constexpr char kDrop[] = R"(
if call('HGET', m, 'g') ~= g then return {'GEN'} end
small_write()
for i = 2, #ARGV, 2 do
  local id = ARGV[i]
  local head = call('GETRANGE', base .. 'v:' .. id, 0, 31)
  if string.sub(head, 17, 32) == ARGV[i + 1] then
    call('DEL', base .. 'v:' .. id)
    local score = call('ZSCORE', q, id)
    if score then
      call('ZREM', q, id)
      call('HINCRBY', m, 'b', fmt(-size_of(score)))
    end
  end
end
call('HSET', m, 'e', call('HGET', m, 'o'))
return {'OK'}
)";

std::string Joined(std::initializer_list<const char*> parts) {
  std::string out;
  for (const char* part : parts) out += part;
  return out;
}

}  // namespace

#define SLIPSTREAM_CACHE_SCRIPT(Name, ...)                                 \
  const redis::Script& Name() {                                            \
    static const auto& script = *new redis::Script(Joined({__VA_ARGS__})); \
    return script;                                                         \
  }

SLIPSTREAM_CACHE_SCRIPT(Greet, kBase, kCheckServer, "return check_server()")
SLIPSTREAM_CACHE_SCRIPT(Join, kBase, kCheckServer, kJoin)
SLIPSTREAM_CACHE_SCRIPT(Renew, kBase, kCheckServer, kAnnounce, kRenew)
SLIPSTREAM_CACHE_SCRIPT(Confirm, kBase, kConfirm)
SLIPSTREAM_CACHE_SCRIPT(Poll, kBase, kPoll)
SLIPSTREAM_CACHE_SCRIPT(Leave, kBase, kLeave)
SLIPSTREAM_CACHE_SCRIPT(Read, kBase, kRead)
SLIPSTREAM_CACHE_SCRIPT(Set, kBase, kState, kAnnounce, kValue, kSet)
SLIPSTREAM_CACHE_SCRIPT(Erase, kBase, kState, kAnnounce, kValue, kErase)
SLIPSTREAM_CACHE_SCRIPT(Invalidate, kBase, kState, kAnnounce, kInvalidate)
SLIPSTREAM_CACHE_SCRIPT(Retire, kBase, kAnnounce, kRetire)
SLIPSTREAM_CACHE_SCRIPT(Lease, kBase, kValue, kLease)
SLIPSTREAM_CACHE_SCRIPT(EndLease, kBase, kEndLease)
SLIPSTREAM_CACHE_SCRIPT(Walk, kBase, kWalk)
SLIPSTREAM_CACHE_SCRIPT(Drop, kBase, kValue, kDrop)

#undef SLIPSTREAM_CACHE_SCRIPT

}  // namespace slipstream::cache::redis_cache_scripts
