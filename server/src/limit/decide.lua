-- One decision over the windows of one tenant and category, in one round trip and at once for every server.
-- The same buckets as window.rs: each ends at a thirty-second of the limit or of the window.
-- KEYS: one for each level, all with one hash tag.
-- ARGV: the units; then for each level the number of its windows, and for each window its length and its limit.
-- Answers for each window: the units it holds, the milliseconds to wait (0: it fits), and until it holds fewer.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local units = tonumber(ARGV[1])

local function out(bucket, edge)
  if edge >= bucket[2] then return bucket[3] end
  if edge <= bucket[1] then return 0 end
  return math.floor(bucket[3] * (edge - bucket[1]) / (bucket[2] - bucket[1]))
end

local function edge_for(bucket, gone)
  local span = bucket[2] - bucket[1]
  return bucket[1] + math.min(span, math.ceil(gone * span / math.max(bucket[3], 1)))
end

local function held(buckets, edge)
  while buckets[1] and buckets[1][2] <= edge do table.remove(buckets, 1) end
  local sum = 0
  for _, bucket in ipairs(buckets) do sum = sum + bucket[3] end
  if buckets[1] then sum = sum - out(buckets[1], edge) end
  return sum
end

local function wait(buckets, edge, length, limit, used, more)
  local needed = used + more - limit
  if needed <= 0 then return 0 end
  if buckets[1] then needed = needed + out(buckets[1], edge) end
  for _, bucket in ipairs(buckets) do
    if needed > bucket[3] then
      needed = needed - bucket[3]
    else
      return math.max(edge_for(bucket, needed) + length - now, 1)
    end
  end
  return length
end

local function eases(buckets, edge, length)
  local first = now
  if buckets[1] then first = edge_for(buckets[1], out(buckets[1], edge) + 1) end
  return math.min(math.max(first + length - now, 1), length)
end

local levels, fits, at = {}, true, 2
for place, key in ipairs(KEYS) do
  local stored = redis.call('GET', key)
  local level = { key = key, all = stored and cmsgpack.unpack(stored) or {}, windows = {}, longest = 0 }
  local count = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, count do
    local length, limit = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
    at = at + 2
    local name = tostring(length)
    local buckets = level.all[name] or {}
    level.all[name] = buckets
    local last = buckets[#buckets]
    if last and last[2] > now then
      -- The clock went back: no time has passed.
      local back = last[2] - now
      for _, bucket in ipairs(buckets) do
        bucket[1] = bucket[1] - back
        bucket[2] = bucket[2] - back
      end
    end
    local window = { buckets = buckets, length = length, limit = limit, more = math.min(units, limit) }
    window.used = held(buckets, now - length)
    window.wait = units == 0 and 0 or wait(buckets, now - length, length, limit, window.used, window.more)
    if window.wait > 0 then fits = false end
    level.longest = math.max(level.longest, length)
    table.insert(level.windows, window)
  end
  levels[place] = level
end

local answer = {}
for _, level in ipairs(levels) do
  for _, window in ipairs(level.windows) do
    if fits and units > 0 then
      local last = window.buckets[#window.buckets]
      if last and last[3] + window.more <= math.ceil(window.limit / 32) and now - last[1] <= window.length / 32 then
        last[2] = now
        last[3] = last[3] + window.more
      else
        table.insert(window.buckets, { now, now, window.more })
      end
      window.used = window.used + window.more
    end
    table.insert(answer, window.used)
    table.insert(answer, window.wait)
    table.insert(answer, eases(window.buckets, now - window.length, window.length))
  end
  if fits and units > 0 then
    redis.call('SET', level.key, cmsgpack.pack(level.all), 'PX', level.longest + 1000)
  end
end
return answer
