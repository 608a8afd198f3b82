--[[
  obliterate - forget a lane with all that is kept of it. Numbers and fences go on above the old ones all the same: a
  number is never below the clock, and PostgreSQL keeps the fence of an event's lane.

  KEYS[1]  ready      ZSET    lane -> due at (ms)
  KEYS[2]  lanes      SET
  KEYS[3]  meta       HASH    lease_until, paused, message, fence
  KEYS[4]  wait       ZSET
  KEYS[5]  standby    ZSET
  KEYS[6]  delayed    ZSET
  KEYS[7…] every further key of the lane
  ARGV[1]  lane
  ARGV[2]  keeps_fence  '1' for a lane of a named queue, whose fence stands nowhere else

  Returns  { 'obliterated' } | { 'in_use' }: somebody waits, rests, stands by or is being decided
  Twice    the second call finds nothing to forget
  Cost     O(1): large values are freed in the background
  Caller   queue::obliterate
]]
local ready, lanes, meta, wait, standby, delayed = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local lane, keeps_fence = ARGV[1], ARGV[2] == '1'
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if redis.call('EXISTS', wait, standby, delayed) > 0 or tonumber(redis.call('HGET', meta, 'lease_until') or 0) > now then
  return { 'in_use' }
end
redis.call('ZREM', ready, lane)
redis.call('SREM', lanes, lane)
-- A pause outlives it.
local m = redis.call('HMGET', meta, 'paused', 'message', 'fence')
redis.call('UNLINK', meta, unpack(KEYS, 7))
if m[1] == '1' then redis.call('HSET', meta, 'paused', m[1], 'message', m[2] or '') end
if keeps_fence and m[3] then redis.call('HSET', meta, 'fence', m[3]) end
return { 'obliterated' }
