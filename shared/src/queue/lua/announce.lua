#!lua flags=allow-oom
--[[
  announce - tell the feed what changed outside of a batch.

  KEYS[1]  partition  HASH    epoch, seq
  KEYS[2]  feed       STREAM
  KEYS[3]  standby    ZSET    job (number:payload) -> number
  KEYS[4]  meta       HASH    lease_worker, fence, freed_in
  KEYS[5…] reserved keys to remove
  ARGV[1]  lane
  ARGV[2]  entry      (JSON)
  ARGV[3]  freed      '1' when something came free

  Returns  { 'announced', how many stand by }
  Twice    tells the same again
  Cost     O(places)
  Caller   queue::announce
]]
local partition, feed, standby, meta = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local lane, entry, is_freed = ARGV[1], ARGV[2], ARGV[3] == '1'
local first_key, feed_keep_ms = 5, 60000

-- A thousand at a time: Lua's stack holds some thousands.
for from = first_key, #KEYS, 1000 do redis.call('DEL', unpack(KEYS, from, math.min(from + 999, #KEYS))) end
if is_freed then
  -- Who is being decided now may have been refused what came free: its batch is settled accordingly.
  local m = redis.call('HMGET', meta, 'lease_worker', 'fence')
  if m[1] then redis.call('HSET', meta, 'freed_in', m[2]) end
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local epoch, seq = redis.call('HGET', partition, 'epoch'), redis.call('HINCRBY', partition, 'seq', 1)
redis.call('XADD', feed, 'MINID', '~', string.format('%.0f', now - feed_keep_ms), '*', 'e', epoch or '', 's', seq,
  'l', lane, 'k', 'seats', 'd', entry)
return { 'announced', redis.call('ZCARD', standby) }
