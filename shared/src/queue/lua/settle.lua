#!lua flags=allow-oom
--[[
  settle - end the jobs of a batch, tell the feed, and give the lane back.

  KEYS[1]  partition  HASH    epoch, seq
  KEYS[2]  ready      ZSET    lane -> due at (ms)
  KEYS[3]  feed       STREAM
  KEYS[4]  meta       HASH    fence, lease_*, settled, completed, failed
  KEYS[5]  wait       ZSET
  KEYS[6]  jobs       HASH
  KEYS[7]  live       HASH
  KEYS[8]  owners     HASH
  KEYS[9]  attempts   HASH
  KEYS[10] standby    ZSET    member and score = number
  KEYS[11] completed  LIST    finished jobs, newest first
  KEYS[12] failed     LIST
  KEYS[13…] reserved keys of what was won, then lock keys of what was locked
  ARGV[1]  lane
  ARGV[2]  worker
  ARGV[3]  fence
  ARGV[4]  wake       channel
  ARGV[5]  entry      what the feed says of the batch (JSON)
  ARGV[6]  keep_completed
  ARGV[7]  keep_failed
  ARGV[8]  jobs       how many of them follow
  ARGV[9]  reserved   how many reserved keys stand in KEYS
  ARGV[10] number of a job that failed by itself and waits on, or ''
  ARGV[11] delay_ms   the lane is not claimed again before
  ARGV[12…] by 5 a job: number, word (completed | failed | standby), owner, live_key or '', record (or '')
           then by 2 a reserved key: owner, ttl_ms

  Returns  { 'settled', waiting } | { 'lost' }
  Twice    the second call answers 'settled' again and changes nothing
  Cost     O(jobs · log n)
  Caller   queue::settle
]]
local partition, ready, feed, meta, wait, jobs = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local live, owners, attempts, standby = KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local completed, failed = KEYS[11], KEYS[12]
local lane, worker, fence, wake, entry = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local keep_completed, keep_failed = tonumber(ARGV[6]), tonumber(ARGV[7])
local count, reserved = tonumber(ARGV[8]), tonumber(ARGV[9])
local stuck, delay_ms = ARGV[10], tonumber(ARGV[11])
local first_key, first_job, feed_keep_ms = 13, 12, 60000

local m = redis.call('HMGET', meta, 'lease_worker', 'fence', 'settled')
if m[3] == fence and m[2] == fence and not m[1] then return { 'settled', redis.call('ZCARD', wait) } end
if m[1] ~= worker or m[2] ~= fence then return { 'lost' } end

local ended = { completed = 0, failed = 0, standby = 0 }
for i = 0, count - 1 do
  local at = first_job + i * 5
  local number, word, owner, live_key, record = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  if redis.call('ZREM', wait, number) == 1 then
    ended[word] = ended[word] + 1
    if word == 'standby' then
      redis.call('ZADD', standby, number, number)
    else
      redis.call('HDEL', jobs, number)
      redis.call('HDEL', attempts, number)
      if live_key ~= '' then redis.call('HDEL', live, live_key) end
      if redis.call('HINCRBY', owners, owner, -1) <= 0 then redis.call('HDEL', owners, owner) end
      if record ~= '' then redis.call('LPUSH', word == 'completed' and completed or failed, record) end
    end
  end
end
redis.call('LTRIM', completed, 0, keep_completed - 1)
redis.call('LTRIM', failed, 0, keep_failed - 1)

local at = first_job + count * 5
for i = 0, reserved - 1 do
  redis.call('SET', KEYS[first_key + i], ARGV[at + i * 2], 'PX', ARGV[at + i * 2 + 1])
end
local mine = lane .. ':' .. fence
for i = first_key + reserved, #KEYS do
  if redis.call('GET', KEYS[i]) == mine then redis.call('DEL', KEYS[i]) end
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('HDEL', meta, 'lease_worker', 'lease_until', 'lease_count', 'lease_upto', 'lease_since', 'not_before')
redis.call('HSET', meta, 'settled', fence)
redis.call('HINCRBY', meta, 'completed', ended.completed)
redis.call('HINCRBY', meta, 'failed', ended.failed)
if stuck ~= '' then redis.call('HINCRBY', attempts, stuck, 1) end
if delay_ms > 0 then redis.call('HSET', meta, 'not_before', string.format('%.0f', now + delay_ms)) end
local waiting = redis.call('ZCARD', wait)
if waiting > 0 then
  redis.call('ZADD', ready, string.format('%.0f', now + delay_ms), lane)
  if delay_ms == 0 then redis.call('PUBLISH', wake, lane) end
else
  redis.call('ZREM', ready, lane)
end
local epoch, seq = redis.call('HGET', partition, 'epoch'), redis.call('HINCRBY', partition, 'seq', 1)
redis.call('XADD', feed, 'MINID', '~', string.format('%.0f', now - feed_keep_ms), '*', 'e', epoch or '', 's', seq,
  'l', lane, 'k', 'done', 'd', entry)
return { 'settled', waiting }
