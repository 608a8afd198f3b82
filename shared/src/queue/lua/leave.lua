#!lua flags=allow-oom
--[[
  leave - take waiting jobs out of a lane whose outcome rows (left, removed) stand in PostgreSQL already.

  KEYS[1]  partition  HASH    epoch, seq
  KEYS[2]  feed       STREAM
  KEYS[3]  meta       HASH    failed
  KEYS[4]  wait       ZSET
  KEYS[5]  standby    ZSET
  KEYS[6]  jobs       HASH
  KEYS[7]  live       HASH
  KEYS[8]  owners     HASH
  KEYS[9]  attempts   HASH
  ARGV[1]  lane
  ARGV[2]  entry      what the feed says of them (JSON)
  ARGV[3…] by 3: number, owner, live_key or ''

  Returns  { 'left', how many }
  Twice    the second call finds nothing to remove and only tells the feed again
  Cost     O(jobs · log n)
  Caller   queue::leave
]]
local partition, feed, meta, wait, standby, jobs, live, owners, attempts =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local lane, entry, feed_keep_ms = ARGV[1], ARGV[2], 60000
local left = 0
for i = 3, #ARGV, 3 do
  local number, owner, live_key = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if redis.call('ZREM', wait, number) + redis.call('ZREM', standby, number) > 0 then
    left = left + 1
    redis.call('HDEL', jobs, number)
    redis.call('HDEL', attempts, number)
    if live_key ~= '' then redis.call('HDEL', live, live_key) end
    if redis.call('HINCRBY', owners, owner, -1) <= 0 then redis.call('HDEL', owners, owner) end
  end
end
redis.call('HINCRBY', meta, 'failed', left)
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local epoch, seq = redis.call('HGET', partition, 'epoch'), redis.call('HINCRBY', partition, 'seq', 1)
redis.call('XADD', feed, 'MINID', '~', string.format('%.0f', now - feed_keep_ms), '*', 'e', epoch or '', 's', seq,
  'l', lane, 'k', 'done', 'd', entry)
return { 'left', left }
