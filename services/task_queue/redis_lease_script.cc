// Leasing: tenants in turn, within a tenant the lanes by aged priority.
#include "services/task_queue/redis_scripts.h"
#include "services/task_queue/redis_session_clock.h"

namespace slipstream::task_queue::redis_scripts {

namespace {

constexpr char kReserve[] = SLIPSTREAM_LUA_SESSION_CLOCK R"(
local base, session = KEYS[1], ARGV[1]
local max, now, step = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local call = redis.call
if not session_alive(base, session, now, tonumber(ARGV[5])) then return 'SESSION' end
if ARGV[7] ~= '' and (call('HGET', base .. 'pm:' .. session, '#taken_back') or '0') ~= ARGV[7] then
  return 'PERMITS'
end
local types = {}
local paused = {}
for _, name in ipairs(call('SMEMBERS', base .. 'p')) do paused[name] = true end
if paused['*'] then return {0, 0, {}, {}, {}} end
-- A tenant that waits in several of the types is one candidate, with one pass.
local tenants, order = {}, {}
for t = 8, #ARGV do
  local name = ARGV[t]
  if not paused[name] then
    local ring = call('ZRANGE', base .. 'r:' .. name, 0, max - 1, 'WITHSCORES')
    for r = 1, #ring, 2 do
      local tenant, pass = ring[r], tonumber(ring[r + 1])
      local one = tenants[tenant]
      if not one then
        one = {name = tenant, pass = pass, types = {}}
        tenants[tenant] = one
        order[#order + 1] = one
      elseif pass < one.pass then
        one.pass = pass
      end
      one.types[#one.types + 1] = name
    end
  end
end
if #order == 0 then return {0, 0, {}, {}, {}} end
table.sort(order, function(a, b)
  if a.pass ~= b.pass then return a.pass < b.pass end
  return a.name < b.name
end)

local served = tonumber(call('GET', base .. 'v') or '0')
local taken, skipped = {}, 0
local counts, field_of = {}, {}  -- depth counter -> taken; place in `taken` -> depth counter

-- The lanes of a tenant, read once; `quota` from each is enough for what is left.
local function open(tenant)
  tenant.lanes = {}
  local quota = max - #taken
  for _, name in ipairs(tenant.types) do
    for priority = 4, 1, -1 do
      local key = base .. 'l:' .. priority .. ':' .. name .. ':' .. tenant.name
      local elements = call('LRANGE', key, 0, quota - 1)
      if #elements > 0 then
        tenant.lanes[#tenant.lanes + 1] =
          {key = key, type = name, priority = priority, elements = elements, at = 1,
           complete = #elements < quota, field = 'p:' .. priority .. ':' .. name}
      end
    end
  end
end

-- The lane whose head is to start next: highest aged level, then the longest wait.
local function best(tenant)
  local lanes = tenant.lanes
  if #lanes == 1 then
    if lanes[1].elements[lanes[1].at] then return lanes[1] end
    return nil
  end
  local found, level, since
  for _, lane in ipairs(lanes) do
    local element = lane.elements[lane.at]
    if element then
      if lane.head ~= element then
        lane.head = element
        lane.since = struct.unpack('>I6', element, 25)
        lane.level = lane.priority
        if now > lane.since then
          lane.level = math.min(4, lane.priority + math.floor((now - lane.since) / step))
        end
      end
      if not found or lane.level > level or (lane.level == level and lane.since < since) then
        found, level, since = lane, lane.level, lane.since
      end
    end
  end
  return found
end

local function close(tenant)
  local rest = {}
  for _, lane in ipairs(tenant.lanes) do
    if lane.at > 1 then call('LTRIM', lane.key, lane.at - 1, -1) end
    if lane.elements[lane.at] or not lane.complete then rest[lane.type] = true end
  end
  for _, name in ipairs(tenant.types) do
    if rest[name] then
      call('ZADD', base .. 'r:' .. name, string.format('%.0f', tenant.pass), tenant.name)
    else
      call('ZREM', base .. 'r:' .. name, tenant.name)
    end
  end
end

local first = 1  -- order[first..] is sorted by pass
while #taken < max and order[first] do
  local tenant = order[first]
  if not tenant.lanes then open(tenant) end
  -- Its turns until another one is before it.
  local after = order[first + 1]
  local lane = best(tenant)
  if lane then
    if tenant.pass > served then served = tenant.pass end
    if tenant.pass < served then tenant.pass = served end
  end
  while lane do
    local element = lane.elements[lane.at]
    lane.at = lane.at + 1
    -- One that has expired is left to the timers.
    if string.byte(element, 32) > 0 and struct.unpack('>I6', element, 32) <= now then
      skipped = skipped + 1
    else
      taken[#taken + 1] = element
      counts[lane.field] = (counts[lane.field] or 0) + 1
      field_of[#taken] = lane.field
      tenant.pass = tenant.pass + 1
    end
    if #taken >= max or (after and after.pass < tenant.pass) then break end
    lane = best(tenant)
  end
  if not lane then
    first = first + 1  -- nothing more of this one
  else
    local at = first
    while order[at + 1] and order[at + 1].pass < tenant.pass do
      order[at] = order[at + 1]
      at = at + 1
    end
    order[at] = tenant
  end
end
for _, tenant in pairs(tenants) do
  if tenant.lanes then close(tenant) end
end
call('SET', base .. 'v', string.format('%.0f', served))
if #taken == 0 then return {0, skipped, {}, {}, {}} end
local sub = string.sub
local ids, bodies, states = {}, {}, {}
for t = 1, #taken do
  local id = sub(taken[t], 1, 16)
  ids[t] = id
  bodies[t] = base .. 't:' .. id
  states[t] = base .. 'x:' .. id
end
local was = call('MGET', unpack(states))
local body = call('MGET', unpack(bodies))
-- An element counts while its task is as it was when it was put there.
local good, set, held, elements, out_body, out_state = 0, {}, {}, {}, {}, {}
local epoch = call('INCR', base .. 'e')
local lease = struct.pack('>c1I8I6', 'L', epoch, now) .. ARGV[6] .. string.char(#session) .. session
local fresh = '\0\0\0\0'
for t = 1, #taken do
  local place, state = sub(taken[t], 38, 41), was[t]
  if body[t] and ((state and sub(state, 10, 13) == place and sub(state, 1, 1) == 'S') or
                  (not state and place == fresh)) then
    good = good + 1
    set[2 * good - 1] = states[t]
    set[2 * good] = state and lease .. state or lease
    held[good] = ids[t]
    elements[good] = taken[t]
    field_of[good] = field_of[t]
    out_body[good] = body[t]
    out_state[good] = state or ''
  else
    skipped = skipped + 1
  end
end
if good == 0 then return {0, skipped, {}, {}, {}} end
call('MSET', unpack(set))
call('SADD', base .. 'h:' .. session, unpack(held))
call('RPUSH', base .. 'o', lease .. table.concat(elements))
if ARGV[7] ~= '' then call('HINCRBY', base .. 'pm:' .. session, '#moves', 1) end
if good == #taken then
  for field, count in pairs(counts) do call('HINCRBY', base .. 'n', field, -count) end
else
  -- Rare: the counts are of the good ones only.
  for t = 1, good do
    call('HINCRBY', base .. 'n', field_of[t], -1)
  end
end
call('HINCRBY', base .. 'n', 's2', -good)
call('HINCRBY', base .. 'n', 's3', good)
return {epoch, skipped, elements, out_body, out_state}
)";

}  // namespace

const redis::Script& Reserve() {
  static const redis::Script script(kReserve, false);
  return script;
}

}  // namespace slipstream::task_queue::redis_scripts
