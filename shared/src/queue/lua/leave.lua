#!lua flags=allow-oom
--[[
  leave - take waiting jobs out of a lane whose outcome rows (left, removed, or any other) stand in PostgreSQL already.

  KEYS[1]  partition  HASH    epoch, seq
  KEYS[2]  feed       STREAM
  KEYS[3]  meta       HASH    completed, failed, lease_count, lease_upto
  KEYS[4]  wait       ZSET    job (number:payload) -> number
  KEYS[5]  standby    ZSET    the same
  KEYS[6]  owners     HASH    owner -> entries of their live jobs, 32 bytes each, which begin with the number
  KEYS[7]  attempts   HASH
  KEYS[8…] reserved keys of what was won
  ARGV[1]  lane
  ARGV[2]  entry      what the feed says of them (JSON)
  ARGV[3]  jobs       how many of them follow
  ARGV[4…] by 3 a job: number, owner, word (completed | failed)
           then by 2 a reserved key: owner, until when it holds (ms)

  Returns  { 'left', how many }
  Twice    the second call finds nothing to remove, nothing to show, and only tells the feed again
  Cost     O(jobs · log n)
  Caller   queue::leave
]]
local partition, feed, meta, wait, standby, owners, attempts =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local lane, entry, count = ARGV[1], ARGV[2], tonumber(ARGV[3])
local first_key, first_job, feed_keep_ms = 8, 4, 60000
local left, ended = 0, { completed = 0, failed = 0 }
local function forget(owner, number)
  local others, entries = {}, redis.call('HGET', owners, owner) or ''
  for at = 1, #entries, 32 do
    if string.sub(entries, at, at + 15) ~= number then others[#others + 1] = string.sub(entries, at, at + 31) end
  end
  if #others > 0 then
    redis.call('HSET', owners, owner, table.concat(others))
  else
    redis.call('HDEL', owners, owner)
  end
end
-- Those of them that a worker has at hand are not active any more.
local upto, active = tonumber(redis.call('HGET', meta, 'lease_upto') or 0), 0
for i = first_job, first_job + (count - 1) * 3, 3 do
  local number, owner, word = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local waited = redis.call('ZREMRANGEBYSCORE', wait, number, number)
  if tonumber(number) <= upto then active = active + waited end
  if waited + redis.call('ZREMRANGEBYSCORE', standby, number, number) > 0 then
    left, ended[word] = left + 1, ended[word] + 1
    redis.call('HDEL', attempts, number)
    forget(owner, number)
  end
end
if active > 0 then redis.call('HINCRBY', meta, 'lease_count', -active) end
for word, count in pairs(ended) do redis.call('HINCRBY', meta, word, count) end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local at = first_job + count * 3
for i = 0, #KEYS - first_key do
  local owner, until_ms = ARGV[at + i * 2], ARGV[at + i * 2 + 1]
  -- It was decided a while ago; whoever is shown there since came later.
  if tonumber(until_ms) > now then redis.call('SET', KEYS[first_key + i], owner, 'NX', 'PXAT', until_ms) end
end
local epoch, seq = redis.call('HGET', partition, 'epoch'), redis.call('HINCRBY', partition, 'seq', 1)
redis.call('XADD', feed, 'MINID', '~', string.format('%.0f', now - feed_keep_ms), '*', 'e', epoch or '', 's', seq,
  'l', lane, 'k', 'done', 'd', entry)
return { 'left', left }
