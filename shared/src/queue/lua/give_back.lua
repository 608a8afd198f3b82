#!lua flags=allow-oom
--[[
  give_back - end a lease without deciding its jobs: they wait on, each in its own place.

  KEYS[1]  partition  HASH    epoch, seq
  KEYS[2]  ready      ZSET    lane -> due at (ms)
  KEYS[3]  feed       STREAM
  KEYS[4]  meta       HASH    fence, lease_*, not_before, rate_*
  KEYS[5]  attempts   HASH    number -> failed attempts
  KEYS[6]  leased     ZSET    lane -> end of its lease (ms)
  KEYS[7]  wait       ZSET    job -> number
  KEYS[8…] lock keys to release
  ARGV[1]  lane
  ARGV[2]  worker
  ARGV[3]  fence
  ARGV[4]  wake       channel
  ARGV[5]  delay_ms   the lane is not claimed again before
  ARGV[6]  number of the job that failed, or ''
  ARGV[7]  least_fence  the fence is raised to this at least (0: leave it)

  Returns  { 'given_back', attempts of that job } | { 'lost' }
  Twice    the second call answers 'lost'
  Cost     O(locks + log n)
  Caller   queue::lease
]]
local partition, ready, feed, meta = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local attempts, leased, wait = KEYS[5], KEYS[6], KEYS[7]
local lane, worker, fence, wake = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local delay_ms, number, least_fence = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local feed_keep_ms = 60000

local m = redis.call('HMGET', meta, 'lease_worker', 'fence', 'lease_since', 'lease_of_lane', 'lease_of_queue')
if m[1] ~= worker or m[2] ~= fence then return { 'lost' } end
local mine = lane .. ':' .. fence
for i = 8, #KEYS do
  if redis.call('GET', KEYS[i]) == mine then redis.call('DEL', KEYS[i]) end
end
-- Nothing is counted of one that has left meanwhile.
local is_there = number ~= '' and redis.call('ZCOUNT', wait, number, number) > 0
local tries = is_there and redis.call('HINCRBY', attempts, number, 1) or 0
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
-- What was taken and not done does not count towards the limits that it was counted for.
for i, key in ipairs({ meta, partition }) do
  local counted, rate = tonumber(m[3 + i] or 0), redis.call('HMGET', key, 'rate_max', 'rate_from')
  if counted > 0 and rate[1] and rate[2] and tonumber(rate[2]) <= tonumber(m[3] or 0) then
    redis.call('HINCRBY', key, 'rate_used', -counted)
  end
end
redis.call('HDEL', meta, 'lease_worker', 'lease_until', 'lease_count', 'lease_upto', 'lease_since')
redis.call('ZREM', leased, lane)
if least_fence > tonumber(fence) then redis.call('HSET', meta, 'fence', ARGV[7]) end
if delay_ms > 0 then redis.call('HSET', meta, 'not_before', string.format('%.0f', now + delay_ms)) end
redis.call('ZADD', ready, string.format('%.0f', now + delay_ms), lane)
local epoch, seq = redis.call('HGET', partition, 'epoch'), redis.call('HINCRBY', partition, 'seq', 1)
redis.call('XADD', feed, 'MINID', '~', string.format('%.0f', now - feed_keep_ms), '*', 'e', epoch or '', 's', seq,
  'l', lane, 'k', 'back', 'd', '')
if delay_ms == 0 then redis.call('PUBLISH', wake, lane) end
return { 'given_back', tries }
