#!lua flags=allow-oom
--[[
  claim - hand the head of a lane to one worker, as a batch under a lease.

  The jobs stay where they are; the lease says how many of them, from the head, are active. A lease that ran
  out therefore needs no rescue: its jobs still stand at the head, and this call leases them anew.

  KEYS[1]  partition  HASH    epoch, seq, run_id, controls, recovering_until, paused
  KEYS[2]  ready      ZSET    lane -> due at (ms)
  KEYS[3]  feed       STREAM
  KEYS[4]  meta       HASH    fence, lease_*, paused, not_before
  KEYS[5]  wait       ZSET    member and score = number
  KEYS[6]  jobs       HASH    number -> payload
  KEYS[7]  attempts   HASH    number -> failed attempts
  ARGV[1]  lane
  ARGV[2]  worker
  ARGV[3]  max_jobs
  ARGV[4]  lease_ms

  Returns  { 'claimed', fence, stalled ('1' when a lease had run out), then by 3: number, payload, attempts }
           | { 'paused' } | { 'empty' } | { 'leased', until_ms } | { 'later', at_ms }
           | { 'recovering', until_ms } | { 'no_controls', epoch } | { 'no_epoch' }
           | { 'restarted', epoch }: this is another run of Redis than the one that the epoch began in, so
             it may have lost jobs that somebody else remembers
  Twice    the second call meets its own lease and answers 'leased'
  Cost     O(max_jobs · log n)
  Caller   queue::claim
]]
local partition, ready, feed, meta, wait, jobs, attempts =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local lane, worker, max_jobs, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local feed_keep_ms = 60000

local p = redis.call('HMGET', partition, 'epoch', 'controls', 'recovering_until', 'paused', 'run_id')
if not p[1] then return { 'no_epoch' } end
if string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') ~= p[5] then return { 'restarted', p[1] } end
if p[2] ~= p[1] then return { 'no_controls', p[1] } end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function text(n) return string.format('%.0f', n) end
if tonumber(p[3] or 0) > now then return { 'recovering', p[3] } end

local m = redis.call('HMGET', meta, 'paused', 'lease_worker', 'lease_until', 'not_before')
if p[4] == '1' or m[1] == '1' then
  redis.call('ZREM', ready, lane)
  return { 'paused' }
end
local lease_until = tonumber(m[3] or 0)
if m[2] and lease_until > now then return { 'leased', m[3] } end
if tonumber(m[4] or 0) > now then return { 'later', m[4] } end

local numbers = redis.call('ZRANGE', wait, 0, max_jobs - 1)
if #numbers == 0 then
  redis.call('ZREM', ready, lane)
  redis.call('HDEL', meta, 'lease_worker', 'lease_until', 'lease_count', 'not_before')
  return { 'empty' }
end
local fence = redis.call('HINCRBY', meta, 'fence', 1)
local until_ms = now + lease_ms
redis.call('HSET', meta, 'lease_worker', worker, 'lease_until', text(until_ms), 'lease_since', text(now),
  'lease_count', #numbers, 'lease_upto', numbers[#numbers])
redis.call('HDEL', meta, 'not_before')
if m[2] then redis.call('HINCRBY', meta, 'stalled', 1) end
redis.call('ZADD', ready, text(until_ms), lane)

local reply = { 'claimed', tostring(fence), m[2] and '1' or '0' }
local has_attempts = redis.call('HLEN', attempts) > 0
for from = 1, #numbers, 1000 do
  local part = { unpack(numbers, from, math.min(from + 999, #numbers)) }
  local payloads = redis.call('HMGET', jobs, unpack(part))
  local tries = has_attempts and redis.call('HMGET', attempts, unpack(part)) or {}
  for i, n in ipairs(part) do
    reply[#reply + 1] = n
    reply[#reply + 1] = payloads[i] or ''
    reply[#reply + 1] = tries[i] or '0'
  end
end
local seq = redis.call('HINCRBY', partition, 'seq', 1)
redis.call('XADD', feed, 'MINID', '~', text(now - feed_keep_ms), '*', 'e', p[1], 's', seq, 'l', lane,
  'k', 'claim', 'd', numbers[#numbers])
return reply
