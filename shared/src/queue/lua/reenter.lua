#!lua flags=allow-oom
--[[
  reenter - put jobs back that Redis forgot, each at its own number. The caller has asked PostgreSQL first and
  found no outcome.

  KEYS[1]  partition  HASH    epoch, seq
  KEYS[2]  ready      ZSET    lane -> due at (ms)
  KEYS[3]  lanes      SET
  KEYS[4]  feed       STREAM
  KEYS[5]  meta       HASH    last, lease_upto, lease_until, not_before
  KEYS[6]  wait       ZSET    job (number:payload) -> number
  KEYS[7]  standby    ZSET    the same
  KEYS[8]  owners     HASH    owner -> entries of their live jobs: number, and tag
  ARGV[1]  lane
  ARGV[2]  wake       channel
  ARGV[3…] by 4: number, owner, tag (its fingerprint is empty for a job with a key), payload

  Returns  { 'ok', how many were put back }
  Twice    who is there already is left alone
  Cost     O(jobs · log n)
  Caller   queue::reenter
]]
local partition, ready, lanes, feed, meta = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local wait, standby, owners = KEYS[6], KEYS[7], KEYS[8]
local lane, wake, feed_keep_ms = ARGV[1], ARGV[2], 60000
local back, last = {}, tonumber(redis.call('HGET', meta, 'last') or 0)
-- By number, not by what is there: a reference leaves out the address that the job itself has.
local function is_there(number)
  return redis.call('ZCOUNT', wait, number, number) + redis.call('ZCOUNT', standby, number, number) > 0
end
for i = 3, #ARGV, 4 do
  local number, owner, tag, payload = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  if not is_there(number) then
    back[#back + 1] = number
    last = math.max(last, tonumber(number))
    redis.call('ZADD', wait, number, number .. ':' .. payload)
    redis.call('HSET', owners, owner, (redis.call('HGET', owners, owner) or '') .. number .. tag)
  end
end
if #back > 0 then
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  redis.call('HSET', meta, 'last', string.format('%.0f', last))
  -- Nobody goes on behind them under a lease that was taken before.
  redis.call('HDEL', meta, 'lease_upto')
  redis.call('SADD', lanes, lane)
  -- Due at once, unless the lane rests; a lease keeps its own end.
  local m = redis.call('HMGET', meta, 'lease_until', 'not_before')
  local how, due = tonumber(m[1] or 0) > now and 'NX' or 'LT', math.max(now, tonumber(m[2] or 0))
  redis.call('ZADD', ready, how, string.format('%.0f', due), lane)
  local epoch, seq = redis.call('HGET', partition, 'epoch'), redis.call('HINCRBY', partition, 'seq', 1)
  redis.call('XADD', feed, 'MINID', '~', string.format('%.0f', now - feed_keep_ms), '*', 'e', epoch or '', 's', seq,
    'l', lane, 'k', 'reenter', 'd', table.concat(back, ','))
  redis.call('PUBLISH', wake, lane)
end
return { 'ok', #back }
