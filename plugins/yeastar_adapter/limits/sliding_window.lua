-- When may one more request of a consumer pass? The arithmetic of window.py for counts that all nodes share.
--
-- KEYS[1]  the turns that the consumer was given: MessagePack of {[seconds] = {next, records}}; each record is a
--          turn's time in microseconds (7 bytes) and its ordinal (5 bytes), oldest first
-- ARGV     the longest wait in microseconds; limit and length in seconds of every window, the shortest first;
--          then, where the server does not tell a script the time, the caller's, in microseconds
-- returns  "A L R S T N W": 1 or 0 (it may or may not), and of the most restrictive window the limit, what remains of
--          it, the seconds until more does, those after which to retry, its length in seconds; and the wait in
--          microseconds; or an error NOTIME

local RECORDS, LONGEST_WAIT, FORMAT, SIZE = 512, 5000000, '>I7I5', 12

-- Before Redis 7 a script that asks for the time may write only if its effects, not its text, go to the replicas.
if redis.replicate_commands then redis.replicate_commands() end

local longest_wait = tonumber(ARGV[1])
local last = #ARGV
local now
if last % 2 == 0 then
  now = tonumber(ARGV[last])
  last = last - 1
else
  local time = redis.pcall('TIME')
  if time.err then return redis.error_reply('NOTIME ' .. time.err) end
  now = time[1] * 1000000 + time[2]
end

local function record(records, index)
  return struct.unpack(FORMAT, records, (index - 1) * SIZE + 1)
end

-- How many of the records are not above a value: of their time (field 1), or of their ordinal (field 2).
local function not_above(records, field, value)
  local low, high = 0, #records / SIZE
  while low < high do
    local middle = math.floor((low + high) / 2) + 1
    if (select(field, record(records, middle))) <= value then low = middle else high = middle - 1 end
  end
  return low
end

-- Without what is a period old; what lies further ahead than a wait can be (the clock was set back) counts as now.
local function advance(window, period)
  local records = window[2]
  local set_back = false
  if #records > 0 and (record(records, #records / SIZE)) > now + LONGEST_WAIT then
    local clamped = {}
    for index = 1, #records / SIZE do
      local time, ordinal = record(records, index)
      clamped[index] = struct.pack(FORMAT, math.min(time, now), ordinal)
    end
    records, set_back = table.concat(clamped), true
  end
  if #records > 0 and (record(records, 1)) <= now - period then
    records = string.sub(records, not_above(records, 1, now - period) * SIZE + 1)
  end
  return {#records > 0 and window[1] or 0, records}, set_back
end

local function turn_of(window, period, limit)
  local has_to_be_gone, records = window[1] - limit, window[2]
  if #records == 0 then return now end
  local index = not_above(records, 2, has_to_be_gone)
  if index == 0 then return now end
  return (record(records, index)) + period
end

local function give(window, turn, limit)
  local upcoming, records = window[1], window[2]
  local time, ordinal
  if #records > 0 then time, ordinal = record(records, #records / SIZE) end
  if not ordinal or upcoming - ordinal >= math.ceil(limit / RECORDS) then
    records = records .. struct.pack(FORMAT, math.max(turn, time or turn), upcoming)
  end
  return {upcoming + 1, records}
end

local function whole_seconds(microseconds)
  return math.max(1, math.ceil(microseconds / 1000000))
end

-- A value of another type or format under this key counts for nothing rather than refuse this consumer for ever.
local windows = {}
local stored = redis.pcall('GET', KEYS[1])
if type(stored) == 'string' then
  local readable, value = pcall(cmsgpack.unpack, stored)
  if readable and type(value) == 'table' then windows = value end
elseif type(stored) == 'table' and stored.err and not string.find(stored.err, 'WRONGTYPE', 1, true) then
  return redis.error_reply(stored.err)
end

local function stored_window(seconds)
  local window = windows[seconds]
  if type(window) ~= 'table' or type(window[1]) ~= 'number' or type(window[2]) ~= 'string'
    or #window[2] % SIZE ~= 0 then
    return {0, ''}
  end
  return window
end

local turn, narrowest, changed = now, 2, false
for i = 2, last, 2 do
  local limit, seconds = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  local window, set_back = advance(stored_window(seconds), seconds * 999000)
  windows[seconds] = window
  changed = changed or set_back
  local ready = turn_of(window, seconds * 999000, limit)
  if ready > turn then turn, narrowest = ready, i end
end

local pause = turn - now
local result
if pause > longest_wait then
  result = {
    0, tonumber(ARGV[narrowest]), 0, whole_seconds(pause), whole_seconds(pause - longest_wait),
    tonumber(ARGV[narrowest + 1]), 0
  }
else
  changed = true
  local fewest
  for i = 2, last, 2 do
    local limit, seconds = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
    local window = give(windows[seconds], turn, limit)
    windows[seconds] = window
    local oldest, ordinal = record(window[2], 1)
    local left = math.max(limit - (window[1] - ordinal), 0)
    if not fewest or left <= fewest then
      fewest = left
      result = {1, limit, left, whole_seconds(oldest + seconds * 999000 - now), 0, seconds, pause}
    end
  end
end

if changed then
  -- Windows that this call did not name (another configuration's) stay as long as they count.
  local lifetime = 0
  for seconds in pairs(windows) do
    local records = stored_window(seconds)[2]
    local left = #records > 0 and (record(records, #records / SIZE)) + seconds * 999000 - now or 0
    if left <= 0 then windows[seconds] = nil elseif left > lifetime then lifetime = left end
  end
  redis.call('SET', KEYS[1], cmsgpack.pack(windows), 'PX', math.ceil(lifetime / 1000) + 1000)
end
return string.format('%d %d %d %d %d %d %d', unpack(result))
