-- May one more request of a consumer pass? The arithmetic of window.py for counts that all nodes share.
--
-- KEYS[1]  what the consumer was granted: MessagePack of {[seconds] = {time, count, time, count, ...}}, oldest first
-- ARGV     limit and length in seconds of every window, the shortest first;
--          then, in tests only, the time in microseconds
-- returns  "A L R S T": 1 or 0 (it may or may not), and of the most restrictive window the limit, what remains of it,
--          the seconds until more does, and those after which to retry

local SLOTS, EXACT = 32, 64

-- Before Redis 7 a script that asks for the time may write only if its effects, not its text, go to the replicas.
if redis.replicate_commands then redis.replicate_commands() end

local now
if #ARGV % 2 == 1 then
  now = tonumber(ARGV[#ARGV])
else
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

-- Without what is a period old; what lies in the future (the clock was set back) counts as granted now.
local function advance(kept, period)
  local last, late, first, total = #kept, 0, 1, 0
  while last > 0 and kept[last - 1] > now do
    late = late + kept[last]
    last = last - 2
  end
  while first < last and kept[first] <= now - period do first = first + 2 end
  for i = first + 1, last, 2 do total = total + kept[i] end
  if first == 1 and late == 0 then return kept, total, false end
  local live = {unpack(kept, first, last)}
  if late > 0 then
    live[#live + 1] = now
    live[#live + 1] = late
  end
  return live, total + late, late > 0
end

local function wait(kept, period, total, limit)
  local surplus = total - limit
  if surplus < 0 then return 0 end
  for i = 1, #kept, 2 do
    surplus = surplus - kept[i + 1]
    if surplus < 0 then return kept[i] + period - now end
  end
end

local function coalesce(kept, period)
  local slot, merged = math.floor(period / SLOTS), {}
  for i = 1, #kept, 2 do
    local n = #merged
    if n > 0 and math.floor(merged[n - 1] / slot) == math.floor(kept[i] / slot) then
      merged[n - 1] = kept[i]
      merged[n] = merged[n] + kept[i + 1]
    else
      merged[n + 1] = kept[i]
      merged[n + 2] = kept[i + 1]
    end
  end
  return merged
end

local function whole_seconds(microseconds)
  return math.ceil(microseconds / 1000000)
end

-- A value of another type or format under this key counts for nothing rather than refuse this consumer for ever.
local windows = {}
local stored = redis.pcall('GET', KEYS[1])
if type(stored) == 'string' then
  local readable, value = pcall(cmsgpack.unpack, stored)
  if readable and type(value) == 'table' then windows = value end
end

local totals, longest, narrowest, set_back = {}, 0, 0, false
for i = 1, #ARGV - 1, 2 do
  local limit, seconds = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  local period = seconds * 1000000
  local kept, total, late = advance(windows[seconds] or {}, period)
  windows[seconds], totals[seconds] = kept, total
  set_back = set_back or late
  local pause = wait(kept, period, total, limit)
  if pause > longest then longest, narrowest = pause, limit end
end

local verdict
if longest > 0 then
  verdict = {0, narrowest, 0, whole_seconds(longest), whole_seconds(longest)}
else
  local least
  for i = 1, #ARGV - 1, 2 do
    local limit, seconds = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
    local period = seconds * 1000000
    local kept = windows[seconds]
    if #kept >= 2 * EXACT then kept = coalesce(kept, period) end
    kept[#kept + 1] = now
    kept[#kept + 1] = 1
    windows[seconds] = kept
    local remaining = limit - totals[seconds] - 1
    if not least or remaining <= least then
      least = remaining
      verdict = {1, limit, remaining, whole_seconds(kept[1] + period - now), 0}
    end
  end
end

if longest == 0 or set_back then
  -- Windows that this call did not name (another configuration's) stay as long as they count.
  local lifetime = 0
  for seconds, kept in pairs(windows) do
    if #kept == 0 or kept[#kept - 1] <= now - seconds * 1000000 then
      windows[seconds] = nil
    elseif seconds > lifetime then
      lifetime = seconds
    end
  end
  redis.call('SET', KEYS[1], cmsgpack.pack(windows), 'PX', (lifetime + 1) * 1000)
end
return string.format('%d %d %d %d %d', unpack(verdict))
