#!lua flags=allow-oom
--[[
  recall - bring some of those who stand by back to the head.

  KEYS[1]  partition  HASH    epoch, seq
  KEYS[2]  ready      ZSET    lane -> due at (ms)
  KEYS[3]  feed       STREAM
  KEYS[4]  standby    ZSET    job (number:payload) -> number
  KEYS[5]  wait       ZSET    the same
  KEYS[6]  meta       HASH    lease_*, fence, freed_in, not_before
  ARGV[1]  lane
  ARGV[2]  wake       channel
  ARGV[3…] numbers, ascending; none: it is only noted that something came free

  Returns  { 'recalled', how many of them }: the others do not stand by any more
  Twice    the second call finds none of them, unless they stand by again: they are asked once more then
  Cost     O(numbers · log n)
  Caller   queue::standby
]]
local partition, ready, feed, standby, wait, meta = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local lane, wake, feed_keep_ms = ARGV[1], ARGV[2], 60000
local m, recalled = redis.call('HMGET', meta, 'lease_worker', 'lease_until', 'not_before', 'fence'), {}
-- Who is put on stand-by under this lease may want what others are called back for.
if m[1] then redis.call('HSET', meta, 'freed_in', m[4]) end
for i = 3, #ARGV do
  local job = redis.call('ZRANGEBYSCORE', standby, ARGV[i], ARGV[i])[1]
  if job then
    recalled[#recalled + 1] = ARGV[i]
    redis.call('ZREM', standby, job)
    redis.call('ZADD', wait, ARGV[i], job)
  end
end
if #recalled > 0 then
  -- Nobody goes on behind them under a lease that was taken before.
  redis.call('HDEL', meta, 'lease_upto')
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  -- Due at once, unless the lane rests; a lease keeps its own end.
  local how, due = tonumber(m[2] or 0) > now and 'NX' or 'LT', math.max(now, tonumber(m[3] or 0))
  redis.call('ZADD', ready, how, string.format('%.0f', due), lane)
  local epoch, seq = redis.call('HGET', partition, 'epoch'), redis.call('HINCRBY', partition, 'seq', 1)
  redis.call('XADD', feed, 'MINID', '~', string.format('%.0f', now - feed_keep_ms), '*', 'e', epoch or '', 's', seq,
    'l', lane, 'k', 'recall', 'd', table.concat(recalled, ','))
  redis.call('PUBLISH', wake, lane)
end
return { 'recalled', #recalled }
