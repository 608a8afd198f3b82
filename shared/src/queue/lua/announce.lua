#!lua flags=allow-oom
--[[
  announce - tell the feed what changed outside of a batch, and bring those who stand by back to the head.

  KEYS[1]  partition  HASH    epoch, seq
  KEYS[2]  ready      ZSET    lane -> due at (ms)
  KEYS[3]  feed       STREAM
  KEYS[4]  standby    ZSET    job (number:payload) -> number
  KEYS[5]  wait       ZSET    the same
  KEYS[6]  meta       HASH    lease_*, fence, freed_in, not_before
  KEYS[7…] reserved keys to remove
  ARGV[1]  lane
  ARGV[2]  wake       channel
  ARGV[3]  kind       seats | control
  ARGV[4]  entry      (JSON)
  ARGV[5]  recall     how many of those who stand by are asked again at most

  Returns  { 'announced', how many were recalled }
  Twice    tells the same again, and may recall further ones: they find nothing and stand by again
  Cost     O(recall · log n + places)
  Caller   queue::announce
]]
local partition, ready, feed, standby, wait, meta = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local lane, wake, kind, entry, recall = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local feed_keep_ms = 60000
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local epoch = redis.call('HGET', partition, 'epoch') or ''
local function tell(k, d)
  local seq = redis.call('HINCRBY', partition, 'seq', 1)
  redis.call('XADD', feed, 'MINID', '~', string.format('%.0f', now - feed_keep_ms), '*', 'e', epoch, 's', seq,
    'l', lane, 'k', k, 'd', d)
end

-- A thousand at a time: Lua's stack holds some thousands.
for from = 7, #KEYS, 1000 do redis.call('DEL', unpack(KEYS, from, math.min(from + 999, #KEYS))) end
tell(kind, entry)
local recalled = {}
if recall > 0 then
  local m = redis.call('HMGET', meta, 'lease_worker', 'lease_until', 'not_before', 'fence')
  -- Who is being decided now may have been refused what came free: its batch is settled accordingly.
  if m[1] then redis.call('HSET', meta, 'freed_in', m[4]) end
  local popped = redis.call('ZPOPMIN', standby, recall)
  for i = 1, #popped, 2 do
    recalled[#recalled + 1] = string.match(popped[i], '^%d+')
    redis.call('ZADD', wait, recalled[#recalled], popped[i])
  end
  if #recalled > 0 then
    -- Nobody goes on behind them under a lease that was taken before.
    redis.call('HDEL', meta, 'lease_upto')
    -- Due at once, unless the lane rests; a lease keeps its own end.
    local how, due = tonumber(m[2] or 0) > now and 'NX' or 'LT', math.max(now, tonumber(m[3] or 0))
    redis.call('ZADD', ready, how, string.format('%.0f', due), lane)
    tell('recall', table.concat(recalled, ','))
    redis.call('PUBLISH', wake, lane)
  end
end
return { 'announced', #recalled }
