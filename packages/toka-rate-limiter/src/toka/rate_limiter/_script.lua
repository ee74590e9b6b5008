-- One action on several buckets, by the server's clock: all of them, or none.
--
-- The same algorithms as in _algorithms.py, number by number; all numbers stay below 2^53, where
-- doubles are exact. Division is only ever followed by floor or ceil of an exact quotient, see
-- quotient(). KEYS are the buckets. ARGV is the action, the cost, and for each bucket the
-- algorithm, quota, period, capacity, rate, interval and whether it is a shadow. The answer is four
-- integers for each: admitted, remaining, microseconds until whole, and until admitted (-1: never).

local NEVER = -1
local FIELDS = 7

local function quotient(dividend, divisor)
  -- a / b rounds, and may round up to the next whole number; the remainder is exact (fmod is).
  return (dividend - math.fmod(dividend, divisor)) / divisor
end

local function up(dividend, divisor)
  local down = quotient(dividend, divisor)
  if down * divisor < dividend then down = down + 1 end
  return down
end

local function debt_of(limit, state, now)
  if #state == 0 or state[1] < now then return 0 end
  local full = limit.capacity * limit.interval
  local ahead = state[1] - now
  if ahead >= quotient(full, limit.rate) then return full end
  return ahead * limit.rate + math.fmod(state[2], limit.rate)
end

local gcra = { size = 2 }

function gcra.take(limit, state, now, cost)
  local rate, interval = limit.rate, limit.interval
  local debt = debt_of(limit, state, now)
  local full = limit.capacity * interval
  local left = quotient(full - debt, interval)
  if cost > limit.capacity then return nil, false, left, up(debt, rate), NEVER end
  local after = debt + cost * interval
  if after > full then
    local furthest, mended = quotient(full, rate), nil
    if state[1] - now > furthest then mended = { now + furthest, math.fmod(full, rate) } end
    return mended, false, left, up(debt, rate), up(after - full, rate)
  end
  local ahead = quotient(after, rate)
  local taken = { now + ahead, after - ahead * rate }
  return taken, true, quotient(full - after, interval), up(after, rate), 0
end

function gcra.give(limit, state, now, cost)
  local back = math.min(cost, limit.capacity) * limit.interval
  local debt = math.max(0, debt_of(limit, state, now) - back)
  local ahead = quotient(debt, limit.rate)
  return { now + ahead, debt - ahead * limit.rate }
end

local bucket = { size = 3 }

local function level_of(limit, state, now)
  local full = limit.capacity * limit.interval
  if #state == 0 then return full end
  local elapsed = math.min(math.max(0, now - state[3]), quotient(full, limit.rate) + 1)
  local tokens = math.min(state[1], limit.capacity)
  local held = tokens * limit.interval + math.min(state[2], limit.interval - 1)
  return math.min(full, held + elapsed * limit.rate)
end

function bucket.take(limit, state, now, cost)
  local rate, interval = limit.rate, limit.interval
  local level = level_of(limit, state, now)
  local full = limit.capacity * interval
  local left = quotient(level, interval)
  if cost > limit.capacity then return nil, false, left, up(full - level, rate), NEVER end
  local after = level - cost * interval
  if after < 0 then
    local mended = nil
    if state[3] > now then mended = { left, level - left * interval, now } end
    return mended, false, left, up(full - level, rate), up(-after, rate)
  end
  local tokens = quotient(after, interval)
  return { tokens, after - tokens * interval, now }, true, tokens, up(full - after, rate), 0
end

function bucket.give(limit, state, now, cost)
  local full = limit.capacity * limit.interval
  local back = math.min(cost, limit.capacity) * limit.interval
  local level = math.min(full, level_of(limit, state, now) + back)
  local tokens = quotient(level, limit.interval)
  return { tokens, level - tokens * limit.interval, now }
end

local window = { size = 2 }

local function window_of(limit, state, now)
  if #state == 0 or now - state[1] >= limit.period then return now, 0 end
  return math.min(state[1], now), state[2]
end

function window.take(limit, state, now, cost)
  local opened, spent = window_of(limit, state, now)
  local closes = opened + limit.period - now
  local remaining = math.max(0, limit.quota - spent)
  if cost > remaining then
    local whole = spent > 0 and closes or 0
    if cost > limit.quota then return nil, false, remaining, whole, NEVER end
    return state[1] > now and { opened, spent } or nil, false, remaining, whole, closes
  end
  local after = spent + cost
  return { opened, after }, true, remaining - cost, after > 0 and closes or 0, 0
end

function window.give(limit, state, now, cost)
  local opened, spent = window_of(limit, state, now)
  return { opened, math.max(0, spent - cost) }
end

local counter = { size = 3 }

local function windows_of(limit, state, now)
  local opened = now - math.fmod(now, limit.period)
  if #state == 0 then return opened, 0, 0 end
  local behind = opened - state[1]
  if behind <= 0 then return opened, state[2], state[3] end
  if behind <= limit.period then return opened, 0, state[2] end
  return opened, 0, 0
end

local function counter_wait(limit, current, previous, left, cost)
  local period, quota = limit.period, limit.quota
  current, previous = math.min(current, quota), math.min(previous, quota)
  local room = quota - current - cost
  if room >= 0 then return left - quotient(room * period, previous) end
  return left + period - quotient((quota - cost) * period, current)
end

local function whole_in(limit, left, current, previous)
  if current > 0 then return left + limit.period end
  return previous > 0 and left or 0
end

function counter.take(limit, state, now, cost)
  local period, quota = limit.period, limit.quota
  local opened, current, previous = windows_of(limit, state, now)
  local left = opened + period - now
  local used = up(math.min(previous, quota) * left, period) + current
  local remaining = math.max(0, quota - used)
  if cost > remaining then
    local whole, mended = whole_in(limit, left, current, previous), nil
    if cost > quota then return nil, false, remaining, whole, NEVER end
    if state[1] > opened then mended = { opened, current, previous } end
    return mended, false, remaining, whole, counter_wait(limit, current, previous, left, cost)
  end
  current = current + cost
  local whole = whole_in(limit, left, current, previous)
  return { opened, current, previous }, true, remaining - cost, whole, 0
end

function counter.give(limit, state, now, cost)
  local opened, current, previous = windows_of(limit, state, now)
  return { opened, math.max(0, current - cost), previous }
end

local log = {}

local function entries_of(limit, state, now)
  local entries = {}
  for index = 1, #state, 2 do
    if state[index] > now - limit.period then
      entries[#entries + 1] = math.min(state[index], now)
      entries[#entries + 1] = state[index + 1]
    end
  end
  return entries
end

local function log_wait(limit, entries, now, wanted)
  for index = 1, #entries, 2 do
    wanted = wanted - entries[index + 1]
    if wanted <= limit.quota then return entries[index] + limit.period - now end
  end
  return 0
end

function log.take(limit, state, now, cost)
  local entries = entries_of(limit, state, now)
  local spent = 0
  for index = 2, #entries, 2 do spent = spent + entries[index] end
  local remaining = math.max(0, limit.quota - spent)
  if cost > remaining then
    local whole = #entries > 0 and entries[#entries - 1] + limit.period - now or 0
    if cost > limit.quota then return nil, false, remaining, whole, NEVER end
    local mended = state[#state - 1] > now and entries or nil
    return mended, false, remaining, whole, log_wait(limit, entries, now, spent + cost)
  end
  if cost > 0 and #entries > 0 and entries[#entries - 1] == now then
    entries[#entries] = entries[#entries] + cost
  elseif cost > 0 then
    entries[#entries + 1] = now
    entries[#entries + 1] = cost
  end
  local whole = #entries > 0 and entries[#entries - 1] + limit.period - now or 0
  return entries, true, remaining - cost, whole, 0
end

function log.give(limit, state, now, cost)
  local entries = entries_of(limit, state, now)
  while #entries > 0 and cost > 0 do
    local back = math.min(cost, entries[#entries])
    cost = cost - back
    entries[#entries] = entries[#entries] - back
    if entries[#entries] == 0 then
      entries[#entries] = nil
      entries[#entries] = nil
    end
  end
  return entries
end

local rules = {
  ["gcra"] = gcra,
  ["token-bucket"] = bucket,
  ["fixed-window"] = window,
  ["sliding-counter"] = counter,
  ["sliding-log"] = log,
}

local function read(key, size)
  local text = redis.call('GET', key)
  if not text then return nil end
  local state = {}
  for digits in string.gmatch(text, '%d+') do
    if #digits > 16 then return nil, 'foreign' end
    state[#state + 1] = tonumber(digits)
  end
  local plain = string.match(text, '^%d[%d,]*%d$') and not string.find(text, ',,', 1, true)
  if not plain or #state % (size or 2) ~= 0 or (size and #state ~= size) then
    return nil, 'foreign'
  end
  return state
end

local function write(key, state, whole)
  local texts = {}
  for index, number in ipairs(state) do texts[index] = string.format('%.0f', number) end
  -- A little longer than needed: whoever finds no bucket must not gain by rounding.
  redis.call('SET', key, table.concat(texts, ','), 'PX', string.format('%.0f', up(whole, 1000) + 1))
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local action, cost = ARGV[1], tonumber(ARGV[2])
local limits, before, after, answer = {}, {}, {}, {}
local refused = false

local function report(index, admitted, remaining, whole, retry)
  local base = 4 * (index - 1)
  answer[base + 1] = admitted and 1 or 0
  answer[base + 2], answer[base + 3], answer[base + 4] = remaining, whole, retry
end

local function peek(index, state, price)
  local limit = limits[index]
  local _, _, remaining, whole = limit.rules.take(limit, state, now, 0)
  local _, admitted, _, _, retry = limit.rules.take(limit, state, now, price)
  report(index, admitted, remaining, whole, retry)
  return whole
end

for index, key in ipairs(KEYS) do
  local base = 2 + FIELDS * (index - 1)
  local limit = {
    rules = rules[ARGV[base + 1]],
    quota = tonumber(ARGV[base + 2]),
    period = tonumber(ARGV[base + 3]),
    capacity = tonumber(ARGV[base + 4]),
    rate = tonumber(ARGV[base + 5]),
    interval = tonumber(ARGV[base + 6]),
    shadow = ARGV[base + 7] == '1',
  }
  limits[index] = limit
  if action ~= 'reset' then
    local state, fault = read(key, limit.rules.size)
    if fault then return redis.error_reply('TOKA the key holds something else') end
    before[index] = state or false
  end
end

for index, key in ipairs(KEYS) do
  local limit, state = limits[index], before[index]
  if action == 'hit' then
    local taken, admitted, remaining, whole, retry = limit.rules.take(limit, state or {}, now, cost)
    after[index] = { state = taken, admitted = admitted, whole = whole }
    refused = refused or not (admitted or limit.shadow)
    report(index, admitted, remaining, whole, retry)
  elseif action == 'peek' then
    peek(index, state or {}, cost)
  elseif action == 'refund' then
    local given = state and limit.rules.give(limit, state, now, cost) or {}
    local whole = peek(index, given, 1)
    if state and whole > 0 then write(key, given, whole) elseif state then redis.call('DEL', key) end
  else
    redis.call('DEL', key)
    peek(index, {}, 1)
  end
end

if action == 'hit' then
  for index, key in ipairs(KEYS) do
    local taken = after[index]
    if refused and taken.admitted then
      peek(index, before[index] or {}, cost)
    elseif taken.state then
      write(key, taken.state, taken.whole)
    end
  end
end

return answer
