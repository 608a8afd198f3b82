#!lua flags=allow-oom
--[[
  take_out - take jobs out of a lane of a named queue whose rows in PostgreSQL say already how they ended. Those that a
  worker has at hand are left to it.

  KEYS[1]  partition  HASH    epoch, seq
  KEYS[2]  feed       STREAM
  KEYS[3]  meta       HASH    lease_until, lease_upto, lease_count
  KEYS[4]  wait       ZSET    job (number:payload) -> number
  KEYS[5]  delayed    ZSET    job, or s:payload when it has no number yet -> due at (ms)
  KEYS[6]  attempts   HASH    number -> failed attempts
  KEYS[7]  errors     HASH    number -> how it failed so far, a line each
  ARGV[1]  lane
  ARGV[2…] by 3: job, its id, and how it ended (completed | failed | removed), for the feed

  Returns  { 'taken_out', how many }
  Twice    the second call finds nothing to take out, and tells nobody
  Cost     O(jobs · log n)
  Caller   queue::take_out
]]
local partition, feed, meta, wait = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local delayed, attempts, errors, lane = KEYS[5], KEYS[6], KEYS[7], ARGV[1]
local feed_keep_ms = 60000
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local m = redis.call('HMGET', meta, 'lease_until', 'lease_upto')
local leased, is_over = tonumber(m[2] or 0), tonumber(m[1] or 0) <= now
local taken = {}
for i = 2, #ARGV, 3 do
  local job, id, word = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local number = string.match(job, '^%d+')
  local gone = redis.call('ZREM', delayed, job)
  local is_at_hand = number and tonumber(number) <= leased
  if (is_over or not is_at_hand) and redis.call('ZREM', wait, job) == 1 then
    gone = gone + 1
    -- A lease that has run out may be renewed.
    if is_at_hand then redis.call('HINCRBY', meta, 'lease_count', -1) end
  end
  if gone > 0 and number then
    redis.call('HDEL', attempts, number)
    redis.call('HDEL', errors, number)
  end
  if gone > 0 then taken[#taken + 1] = '[' .. (number or 0) .. ',"' .. id .. '","' .. word .. '"]' end
end
if #taken > 0 then
  local epoch, seq = redis.call('HGET', partition, 'epoch'), redis.call('HINCRBY', partition, 'seq', 1)
  redis.call('XADD', feed, 'MINID', '~', string.format('%.0f', now - feed_keep_ms), '*', 'e', epoch or '', 's', seq,
    'l', lane, 'k', 'done', 'd', '{"j":[' .. table.concat(taken, ',') .. ']}')
end
return { 'taken_out', #taken }
