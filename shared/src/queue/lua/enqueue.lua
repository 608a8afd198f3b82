--[[
  enqueue - add jobs to one lane, each with the next number.

  KEYS[1]  partition  HASH    epoch, seq
  KEYS[2]  ready      ZSET    lane -> due at (ms)
  KEYS[3]  lanes      SET     lanes of this partition
  KEYS[4]  feed       STREAM
  KEYS[5]  meta       HASH    last, lease_until, lease_count, idem_since
  KEYS[6]  wait       ZSET    member and score = number
  KEYS[7]  jobs       HASH    number -> payload
  KEYS[8]  live       HASH    owner and request -> number:nonce
  KEYS[9]  owners     HASH    owner -> live jobs
  KEYS[10] idem       HASH    key -> number:nonce:body (this half day)
  KEYS[11] idem_old   HASH    the same, the half day before
  ARGV[1]  lane
  ARGV[2]  wake       channel
  ARGV[3]  max_waiting
  ARGV[4]  max_per_owner
  ARGV[5…] by 7: owner, live_key or '', idem_key or '', body, nonce, payload, seats ('1,2' or '')

  Returns  { 'ok', epoch, seq, then by 4: word, number, nonce, place }
             words: queued | same | mismatch | too_many | full   (place 0: no longer waiting)
           | { 'no_epoch' }
  Twice    with a live_key or an idem_key the second call answers 'same'
  Cost     O(jobs · log n)
  Caller   queue::enqueue
]]
local partition, ready, lanes, feed, meta = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local wait, jobs, live, owners, idem, idem_old = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local lane, wake = ARGV[1], ARGV[2]
local max_waiting, max_per_owner = tonumber(ARGV[3]), tonumber(ARGV[4])
local half_day_s, feed_keep_ms = 43200, 60000

local epoch = redis.call('HGET', partition, 'epoch')
if not epoch then return { 'no_epoch' } end

local time = redis.call('TIME')
local now_s, now_ms = tonumber(time[1]), tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local m = redis.call('HMGET', meta, 'last', 'lease_until', 'lease_count', 'idem_since')
local number = math.max(tonumber(m[1] or 0) + 1, tonumber(time[1]) * 1000000 + tonumber(time[2]))
local first, waiting = number, redis.call('ZCARD', wait)
local leased = tonumber(m[2] or 0) > now_ms
local active = leased and tonumber(m[3] or 0) or 0

if not m[4] or now_s - tonumber(m[4]) > half_day_s then
  redis.call('UNLINK', idem_old)
  if redis.call('EXISTS', idem) == 1 then redis.call('RENAME', idem, idem_old) end
  redis.call('HSET', meta, 'idem_since', now_s)
end

local function text(n) return string.format('%.0f', n) end
local function known(value)
  local at, nonce = string.match(value, '^(%d+):(%d+)')
  local rank = redis.call('ZRANK', wait, at)
  return 'same', at, nonce, rank and math.max(rank - active + 1, 0) or 0
end

local function add(owner, live_key, idem_key, body, nonce, payload)
  if idem_key ~= '' then
    local old = redis.call('HGET', idem, idem_key) or redis.call('HGET', idem_old, idem_key)
    if old and string.match(old, ':([^:]+)$') ~= body then return 'mismatch', '0', '0', 0 end
    if old then return known(old) end
  else
    local old = redis.call('HGET', live, live_key)
    if old then return known(old) end
  end
  if waiting >= max_waiting then return 'full', '0', '0', 0 end
  if tonumber(redis.call('HGET', owners, owner) or 0) >= max_per_owner then return 'too_many', '0', '0', 0 end
  local at = text(number)
  number, waiting = number + 1, waiting + 1
  redis.call('ZADD', wait, at, at)
  redis.call('HSET', jobs, at, payload)
  redis.call('HINCRBY', owners, owner, 1)
  if idem_key ~= '' then
    redis.call('HSET', idem, idem_key, at .. ':' .. nonce .. ':' .. body)
  else
    redis.call('HSET', live, live_key, at .. ':' .. nonce)
  end
  return 'queued', at, nonce, waiting - active
end

local reply, named = { 'ok', epoch, '0' }, {}
for i = 5, #ARGV, 7 do
  local word, at, nonce, place = add(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5])
  if word == 'queued' and ARGV[i + 6] ~= '' then
    named[#named + 1] = at .. '=' .. ARGV[i + 6]
  end
  for _, v in ipairs({ word, at, nonce, tostring(place) }) do reply[#reply + 1] = v end
end

local added = number - first
if added > 0 then
  redis.call('HSET', meta, 'last', text(number - 1))
  redis.call('SADD', lanes, lane)
  redis.call('ZADD', ready, 'NX', now_ms, lane)
  local seq = redis.call('HINCRBY', partition, 'seq', 1)
  reply[3] = tostring(seq)
  redis.call('XADD', feed, 'MINID', '~', text(now_ms - feed_keep_ms), '*', 'e', epoch, 's', seq, 'l', lane,
    'k', 'add', 'd', text(first) .. ':' .. added .. ':' .. table.concat(named, ';'))
  if not leased then redis.call('PUBLISH', wake, lane) end
end
return reply
