#!lua flags=allow-oom
--[[
  promote - let a job run now that rests, or is for later: the former comes back to its own place with the next claim,
  the latter gets its number now.

  KEYS[1]  partition  HASH    epoch, seq, paused
  KEYS[2]  ready      ZSET    lane -> due at (ms)
  KEYS[3]  meta       HASH    last, paused, lease_until, not_before
  KEYS[4]  wait       ZSET    job (number:payload) -> number
  KEYS[5]  delayed    ZSET    job, or s:payload when it has no number yet -> due at (ms)
  KEYS[6]  idem       HASH    key -> number and tag
  KEYS[7]  feed       STREAM
  ARGV[1]  lane
  ARGV[2]  wake       channel
  ARGV[3]  payload
  ARGV[4]  number     its number as far as it is known, or ''
  ARGV[5]  idem_key   of a job for later, and
  ARGV[6]  tag

  Returns  { 'promoted' } | { 'not_delayed' }: it waits, is active, or is not here
  Twice    one that rests is promoted once more, which changes nothing; one that was for later is 'not_delayed' by then
  Cost     O(log n)
  Caller   queue::promote
]]
local partition, ready, meta, wait, delayed, idem, feed = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local lane, wake, payload, number, idem_key, tag = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local day_s, feed_keep_ms = 86400, 60000
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function text(n) return string.format('%.0f', n) end
local m = redis.call('HMGET', meta, 'last', 'paused', 'lease_until', 'not_before')
local rested = number .. ':' .. payload
if redis.call('ZREM', delayed, 's:' .. payload) == 1 then
  local last = text(math.max(tonumber(m[1] or 0) + 1, tonumber(time[1]) * 1000000 + tonumber(time[2])))
  redis.call('HSET', meta, 'last', last)
  redis.call('ZADD', wait, last, last .. ':' .. payload)
  redis.call('HSET', idem, idem_key, last .. tag)
  redis.call('EXPIRE', idem, day_s)
  local epoch, seq = redis.call('HGET', partition, 'epoch'), redis.call('HINCRBY', partition, 'seq', 1)
  redis.call('XADD', feed, 'MINID', '~', text(now - feed_keep_ms), '*', 'e', epoch or '', 's', seq, 'l', lane,
    'k', 'add', 'd', last .. ':1:')
elseif number ~= '' and redis.call('ZSCORE', delayed, rested) then
  -- Its place may lie before those of a batch that is active, so it is put there when no batch is.
  redis.call('ZADD', delayed, 'LT', text(now), rested)
else
  return { 'not_delayed' }
end
-- A paused lane is put into `ready` by whoever ends the pause. A lease keeps its own end.
if redis.call('HGET', partition, 'paused') ~= '1' and m[2] ~= '1' then
  local leased = tonumber(m[3] or 0) > now
  redis.call('ZADD', ready, leased and 'NX' or 'LT', text(math.max(now, tonumber(m[4] or 0))), lane)
  if not leased then redis.call('PUBLISH', wake, lane) end
end
return { 'promoted' }
