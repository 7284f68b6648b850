#include "services/notification/redis_history_scripts.h"

#include <string>

namespace slipstream::notification::redis_history_scripts {

namespace {

constexpr char kChannels[] = R"(
local call = redis.call
local base, seed, now, ttl = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
-- Numbers as text without an exponent.
local function fmt(x) return string.format('%.0f', x) end
-- Beyond the events' time, because nodes look at the channels of their subscribers only now and then.
local kept_ms = fmt(ttl + 120000)

local info = call('INFO', 'server')
local function life()
  local run_id = string.match(info, 'run_id:(%x+)')
  local m = call('HMGET', base .. 'm', 'r', 'g')
  if m[1] == run_id and m[2] then return m[2] end
  call('HSET', base .. 'm', 'r', run_id, 'g', seed)
  return seed
end
local g = life()

local function new_epoch(ch, head)
  return string.sub(redis.sha1hex(seed .. head .. ch), 1, 16)
end
-- The channel goes on under a new epoch.
local function fork(ch, st)
  local earlier, rest = {st.e .. ':' .. fmt(st.h)}, st.a
  for one in string.gmatch(rest, '[^,]+') do
    if #earlier < 16 then earlier[#earlier + 1] = one end
  end
  st.a = table.concat(earlier, ',')
  st.e = new_epoch(ch, fmt(st.h) .. st.e)
  call('HSET', base .. 'c:' .. ch, 'e', st.e, 'g', g, 'a', st.a)
end
local function touch(ch)
  local key = base .. 'c:' .. ch
  local s = call('HMGET', key, 'e', 'h', 'g', 'a', 'n')
  local st
  if s[1] and s[2] then
    st = {e = s[1], h = tonumber(s[2]), a = s[4] or '', n = s[5] or '0'}
    if s[3] ~= g then fork(ch, st) end
  else
    -- New, expired or evicted: what else there may be of it belongs to nothing.
    call('DEL', base .. 's:' .. ch, base .. 'p:' .. ch)
    st = {e = new_epoch(ch, ''), h = 0, a = '', n = '0'}
    call('HSET', key, 'e', st.e, 'h', '0', 'g', g, 'a', '', 'n', '0')
  end
  call('PEXPIRE', key, kept_ms)
  return st
end
-- Drops events whose time is over; answers the offset of the first one left.
local function first_kept(ch, st)
  local key = base .. 's:' .. ch
  while true do
    local entries, old = call('XRANGE', key, '-', '+', 'COUNT', 10), {}
    for _, entry in ipairs(entries) do
      if tonumber(entry[2][2]) + ttl > now then
        if #old > 0 then call('XDEL', key, unpack(old)) end
        return tonumber(string.match(entry[1], '^%d+'))
      end
      old[#old + 1] = entry[1]
    end
    if #old == 0 then return st.h + 1 end
    call('XDEL', key, unpack(old))
  end
end
-- A position as an offset of the channel's epoch, and whether it lies beyond what that took over;
-- nil when it is of another history.
local function place(st, epoch, offset)
  if epoch == st.e then return offset, false end
  for e, last in string.gmatch(st.a, '(%x+):(%d+)') do
    if e == epoch then
      last = tonumber(last)
      if offset > last then return last, true end
      return offset, false
    end
  end
  return nil, true
end
-- What the reader has acknowledged, as an offset; nil for nothing of this history.
local function acknowledged(st, ch, reader)
  local value = call('GET', base .. 'a:' .. reader .. '\n' .. ch)
  if not value then return nil end
  local epoch, offset = string.match(value, '^(%x+):(%d+)$')
  return (place(st, epoch, tonumber(offset)))
end
)";

constexpr char kAppend[] = R"(
local max, keys_ttl = tonumber(ARGV[4]), tonumber(ARGV[5])
-- A cluster sends a plain message to all its nodes, a sharded one (Redis 7) to those of its slot.
local publish = 'PUBLISH'
if string.find(info, 'redis_mode:cluster', 1, true) and
   tonumber(string.match(info, 'redis_version:(%d+)')) >= 7 then
  publish = 'SPUBLISH'
end
local states, out, hints = {}, {}, {}
local function text(s) return struct.pack('>I4', #s) .. s end
local function hint(ch, st, offset, n, event)
  hints[#hints + 1] = text(ch) .. st.e .. text(fmt(offset)) .. text(n) .. text(event)
end

local function keep_progress(ch, st, task, event)
  local key = base .. 'p:' .. ch
  st.n = fmt(call('HINCRBY', base .. 'c:' .. ch, 'n', 1))
  call('HSET', key, task, fmt(st.h) .. ':' .. st.n .. ':' .. fmt(now) .. ':' .. event)
  if call('HLEN', key) > 64 then
    local oldest, oldest_n
    local all = call('HGETALL', key)
    for i = 1, #all, 2 do
      local n = tonumber(string.match(all[i + 1], '^%d+:(%d+):'))
      if not oldest or n < oldest_n then oldest, oldest_n = all[i], n end
    end
    call('HDEL', key, oldest)
  end
  call('PEXPIRE', key, kept_ms)
  hint(ch, st, st.h, st.n, event)
end

local function append(ch, st, kind, task, event)
  if kind == 'e' then call('HDEL', base .. 'p:' .. ch, task) end
  local key = base .. 's:' .. ch
  st.h = st.h + 1
  call('HSET', base .. 'c:' .. ch, 'h', fmt(st.h))
  call('XADD', key, 'MAXLEN', max, fmt(st.h) .. '-0', 't', fmt(now), 'e', event)
  call('PEXPIRE', key, kept_ms)
  hint(ch, st, st.h, '0', event)
end

for i = 6, #ARGV, 6 do
  local ch, kind, key, id, task, event = unpack(ARGV, i, i + 5)
  local known_key = base .. 'k:' .. ch .. '\n' .. key
  local known = key ~= '' and call('GET', known_key)
  local until_ms, epoch, offset, first_id
  if known then
    until_ms, epoch, offset, first_id = string.match(known, '^(%d+):(%x*):(%d+):(.*)$')
  end
  if until_ms and tonumber(until_ms) > now then
    out[#out + 1] = {1, first_id, epoch, offset}
  else
    local st = states[ch]
    if not st then
      st = touch(ch)
      states[ch] = st
    end
    if kind == 'p' then
      if task ~= '' then keep_progress(ch, st, task, event) end
      epoch, offset = '', '0'
    else
      append(ch, st, kind, task, event)
      epoch, offset = st.e, fmt(st.h)
    end
    if key ~= '' then
      call('SET', known_key, fmt(now + keys_ttl) .. ':' .. epoch .. ':' .. offset .. ':' .. id,
           'PX', fmt(keys_ttl))
    end
    out[#out + 1] = {0, id, epoch, offset}
  end
end
if #hints > 0 then call(publish, base .. 'hint', table.concat(hints)) end
return out
)";

constexpr char kRead[] = R"(
local out = {}
for i = 4, #ARGV, 5 do
  local ch, reader, epoch, offset, own = unpack(ARGV, i, i + 4)
  offset = tonumber(offset)
  local st = touch(ch)
  if own == '1' and epoch == st.e and offset > st.h then fork(ch, st) end
  local lost, events, progress = 0, {}, {}
  if epoch ~= '' then
    local from, beyond = place(st, epoch, offset)
    local seen = reader ~= '' and acknowledged(st, ch, reader)
    if seen and (not from or seen > from) then
      -- Seen on another device: it need not come again, and its loss is none.
      from, beyond = seen, false
    end
    local first = first_kept(ch, st)
    if beyond then lost = 1 end
    from = from or 0
    if from > st.h then
      lost = 1
    else
      if from + 1 < first then lost = 1 end
      for _, entry in ipairs(call('XRANGE', base .. 's:' .. ch, fmt(from + 1), '+')) do
        events[#events + 1] = string.match(entry[1], '^%d+')
        events[#events + 1] = entry[2][4]
      end
      local all = call('HGETALL', base .. 'p:' .. ch)
      for k = 1, #all, 2 do
        local after, n, t, event = string.match(all[k + 1], '^(%d+):(%d+):(%d+):(.*)$')
        if tonumber(t) + ttl <= now then
          call('HDEL', base .. 'p:' .. ch, all[k])
        elseif tonumber(after) >= from then
          progress[#progress + 1] = after
          progress[#progress + 1] = n
          progress[#progress + 1] = event
        end
      end
    end
  end
  out[#out + 1] = {st.e, fmt(st.h), lost, st.a, st.n, events, progress}
end
return out
)";

constexpr char kAcknowledge[] = R"(
local out = {}
for i = 4, #ARGV, 4 do
  local ch, reader, epoch, offset = unpack(ARGV, i, i + 3)
  offset = tonumber(offset)
  local st = touch(ch)
  local seen = acknowledged(st, ch, reader) or 0
  local up_to, beyond = place(st, epoch, offset)
  if up_to and not beyond and up_to <= st.h and up_to > seen then
    seen = up_to
    call('SET', base .. 'a:' .. reader .. '\n' .. ch, st.e .. ':' .. fmt(seen), 'PX', kept_ms)
  end
  local first = first_kept(ch, st)
  out[#out + 1] = fmt(math.max(0, st.h - math.max(seen, first - 1)))
end
return out
)";

}  // namespace

const redis::Script& Append() {
  static const redis::Script script(std::string(kChannels) + kAppend);
  return script;
}
const redis::Script& Read() {
  static const redis::Script script(std::string(kChannels) + kRead);
  return script;
}
const redis::Script& Acknowledge() {
  static const redis::Script script(std::string(kChannels) + kAcknowledge);
  return script;
}

}  // namespace slipstream::notification::redis_history_scripts
