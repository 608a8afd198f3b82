--[[
  schedule - add jobs that are due at a time of their own; each gets its number when it is due.

  KEYS[1]  partition  HASH    epoch
  KEYS[2]  ready      ZSET    lane -> due at (ms)
  KEYS[3]  lanes      SET
  KEYS[4]  meta       HASH    idem_since, lease_until, not_before
  KEYS[5]  delayed    ZSET    s:payload, until it has a number -> due at (ms)
  KEYS[6]  idem       HASH    key -> number and tag (this half day), number 0 as long as it has none
  KEYS[7]  idem_old   HASH    the same, the half day before
  ARGV[1]  lane
  ARGV[2]  max_waiting
  ARGV[3…] by 4: due at (ms), idem_key, tag, payload

  Returns  { 'ok', then one a job: 'scheduled' | 'same' | 'full' } | { 'no_epoch' }
  Twice    the second call answers 'same'
  Cost     O(jobs · log n)
  Caller   queue::jobs
]]
local partition, ready, lanes, meta, delayed, idem, idem_old =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local lane, max_waiting = ARGV[1], tonumber(ARGV[2])
if redis.call('HEXISTS', partition, 'epoch') == 0 then return { 'no_epoch' } end
local time, half_day_s = redis.call('TIME'), 43200
local now_s, now = tonumber(time[1]), tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local m = redis.call('HMGET', meta, 'idem_since', 'lease_until', 'not_before')
local since, leased = m[1], tonumber(m[2] or 0) > now
if not since or now_s - tonumber(since) > half_day_s then
  redis.call('UNLINK', idem_old)
  if redis.call('EXISTS', idem) == 1 then redis.call('RENAME', idem, idem_old) end
  redis.call('HSET', meta, 'idem_since', now_s)
end
local reply, count = { 'ok' }, redis.call('ZCARD', delayed)
local function add(due_ms, idem_key, tag, payload)
  if redis.call('HGET', idem, idem_key) or redis.call('HGET', idem_old, idem_key) then return 'same' end
  if count >= max_waiting then return 'full' end
  count = count + 1
  redis.call('HSET', idem, idem_key, string.rep('0', 16) .. tag)
  redis.call('ZADD', delayed, due_ms, 's:' .. payload)
  return 'scheduled'
end
for i = 3, #ARGV, 4 do
  reply[#reply + 1] = add(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
end
redis.call('SADD', lanes, lane)
redis.call('EXPIRE', idem, 2 * half_day_s, 'NX')
-- A lease keeps its own end, and the end of its batch minds what is due next.
local next_due = tonumber(redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2])
if next_due then
  local due = math.max(next_due, tonumber(m[3] or 0))
  redis.call('ZADD', ready, leased and 'NX' or 'LT', string.format('%.0f', due), lane)
end
return reply
