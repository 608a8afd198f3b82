#!lua flags=allow-oom
--[[
  settle - end the jobs of a batch, tell the feed, and give the lane back.

  KEYS[1]  partition  HASH    epoch, seq
  KEYS[2]  ready      ZSET    lane -> due at (ms)
  KEYS[3]  feed       STREAM
  KEYS[4]  meta       HASH    fence, lease_*, freed_in, settled, completed, failed
  KEYS[5]  wait       ZSET    job (number:payload) -> number
  KEYS[6]  owners     HASH    owner -> entries of their live jobs, 32 bytes each, which begin with the number
  KEYS[7]  attempts   HASH
  KEYS[8]  standby    ZSET    job -> number
  KEYS[9]  completed  LIST    finished jobs, newest first
  KEYS[10] failed     LIST
  KEYS[11] history    HASH    minute of the day -> minute completed failed batches busy_ms
  KEYS[12] delayed    ZSET    job -> due at (ms)
  KEYS[13] errors     HASH    number -> how it failed so far, a line each
  KEYS[14] leased     ZSET    lane -> end of its lease (ms)
  KEYS[15…] lock keys of what was locked
  ARGV[1]  lane
  ARGV[2]  worker
  ARGV[3]  fence
  ARGV[4]  wake       channel
  ARGV[5]  entry      what the feed says of the batch (JSON)
  ARGV[6]  keep_completed
  ARGV[7]  keep_failed
  ARGV[8]  jobs       how many of them follow
  ARGV[9]  number of a job that failed by itself and waits on, or ''
  ARGV[10] delay_ms   the lane is not claimed again before
  ARGV[11] last       '1' for the last part of the last batch under this lease; only it gives the lane back
  ARGV[12] took_ms    how long the whole batch took
  ARGV[13…] by 4 a job, ascending by number: job, word (completed | failed | standby | removed), owner or '', record or ''
            (what was removed is not counted; who is put on stand-by while something came free under this lease
            waits on instead, and is decided again)
            or job, 'later', after how many ms it is tried again in its own place, how it failed

  Returns  { 'settled', waiting } | { 'lost' }
  A batch is settled in parts, so that nobody else waits long for Redis.
  Twice    the second call answers 'settled' again and changes nothing; of a part that is not the last, no job ends or is
           counted again, but the feed is told again, and a batch that ends with it counts twice in the history
  Cost     O(jobs · log n + locks)
  Caller   queue::settle
]]
local partition, ready, feed, meta, wait = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local owners, attempts, standby = KEYS[6], KEYS[7], KEYS[8]
local completed, failed, history = KEYS[9], KEYS[10], KEYS[11]
local delayed, errors, leased = KEYS[12], KEYS[13], KEYS[14]
local lane, worker, fence, wake, entry = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local keep_completed, keep_failed = tonumber(ARGV[6]), tonumber(ARGV[7])
local count, stuck, delay_ms = tonumber(ARGV[8]), ARGV[9], tonumber(ARGV[10])
local is_last, took_ms = ARGV[11] == '1', tonumber(ARGV[12])
local first_key, first_job, feed_keep_ms, day_min = 15, 13, 60000, 1440

local m = redis.call('HMGET', meta, 'lease_worker', 'fence', 'settled', 'freed_in', 'lease_upto')
if m[3] == fence and m[2] == fence and not m[1] then return { 'settled', redis.call('ZCARD', wait) } end
if m[1] ~= worker or m[2] ~= fence then return { 'lost' } end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local ended = { completed = 0, failed = 0, standby = 0, later = 0, removed = 0 }

-- Many members go with one call, a thousand at a time: Lua's stack holds some thousands. The call is told how many of the
-- list came before.
local function each_thousand(list, call)
  for from = 1, #list, 1000 do call(from - 1, unpack(list, from, math.min(from + 999, #list))) end
end

-- Who left meanwhile is not there any more, and was taken care of then. Who waits between the first and the last of them is
-- read at once: each one's score costs three times as much, as Redis writes it out. It is asked for when many came back
-- between them.
local jobs, is_there, at_most = {}, {}, 4 * count
for i = 1, count do jobs[i] = ARGV[first_job + (i - 1) * 4] end
if count > 0 then
  local first, last = string.match(jobs[1], '^%d+'), string.match(jobs[count], '^%d+')
  local waiting = redis.call('ZRANGEBYSCORE', wait, first, last, 'LIMIT', 0, at_most)
  for _, job in ipairs(waiting) do is_there[job] = true end
  if #waiting == at_most then
    for _, job in ipairs(jobs) do is_there[job] = redis.call('ZSCORE', wait, job) and true end
  end
end

-- What came free since this lease began may have come after who stands by was decided.
local has_freed, asked_again, out = m[4] == fence, {}, {}
local gone, is_gone, ids, is_known = {}, {}, {}, {}
local records = { completed = {}, failed = {} }
for i = 1, count do
  if is_there[jobs[i]] then
    local at = first_job + (i - 1) * 4
    local job, word, owner, record = jobs[i], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    local number = string.match(job, '^%d+')
    ended[word] = ended[word] + 1
    local waits_on = word == 'standby' and has_freed
    if not waits_on then out[#out + 1] = job end
    if waits_on then
      asked_again[#asked_again + 1] = number
    elseif word == 'standby' then
      redis.call('ZADD', standby, number, job)
    elseif word == 'later' then
      redis.call('ZADD', delayed, string.format('%.0f', now + tonumber(owner)), job)
      redis.call('HINCRBY', attempts, number, 1)
      redis.call('HSET', errors, number, (redis.call('HGET', errors, number) or '') .. record .. '\n')
    else
      gone[#gone + 1], is_gone[number] = number, true
      if owner ~= '' and not is_known[owner] then ids[#ids + 1], is_known[owner] = owner, true end
      if record ~= '' then
        local before = word == 'failed' and redis.call('HGET', errors, number)
        records[word][#records[word] + 1] = before and record .. '\n' .. before or record
      end
    end
  end
end
local done_owners = {}
each_thousand(ids, function(before, ...)
  for i, entries in ipairs(redis.call('HMGET', owners, ...)) do
    local left = {}
    for at = 1, #(entries or ''), 32 do
      if not is_gone[string.sub(entries, at, at + 15)] then left[#left + 1] = string.sub(entries, at, at + 31) end
    end
    if #left == 0 then
      done_owners[#done_owners + 1] = ids[before + i]
    else
      redis.call('HSET', owners, ids[before + i], table.concat(left))
    end
  end
end)
each_thousand(done_owners, function(_, ...) redis.call('HDEL', owners, ...) end)
each_thousand(out, function(_, ...) redis.call('ZREM', wait, ...) end)
if redis.call('HLEN', attempts) > 0 then
  each_thousand(gone, function(_, ...)
    redis.call('HDEL', attempts, ...)
    redis.call('HDEL', errors, ...)
  end)
end
each_thousand(records.completed, function(_, ...) redis.call('LPUSH', completed, ...) end)
each_thousand(records.failed, function(_, ...) redis.call('LPUSH', failed, ...) end)
redis.call('LTRIM', completed, 0, keep_completed - 1)
redis.call('LTRIM', failed, 0, keep_failed - 1)

local mine, locks, held = lane .. ':' .. fence, {}, {}
for i = first_key, #KEYS do locks[#locks + 1] = KEYS[i] end
each_thousand(locks, function(before, ...)
  for i, value in ipairs(redis.call('MGET', ...)) do
    if value == mine then held[#held + 1] = locks[before + i] end
  end
end)
each_thousand(held, function(_, ...) redis.call('DEL', ...) end)

redis.call('HINCRBY', meta, 'completed', ended.completed)
redis.call('HINCRBY', meta, 'failed', ended.failed)
local minute = math.floor(now / 60000)
local kept = redis.call('HGET', history, minute % day_min) or ''
local at, won, lost, batches, busy_ms = string.match(kept, '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
if tonumber(at) ~= minute then won, lost, batches, busy_ms = 0, 0, 0, 0 end
redis.call('HSET', history, minute % day_min, string.format('%d %d %d %d %d', minute, won + ended.completed,
  lost + ended.failed, batches + (took_ms > 0 and 1 or 0), busy_ms + took_ms))
local waiting = redis.call('ZCARD', wait)
local epoch = redis.call('HGET', partition, 'epoch') or ''
local function tell(kind, what)
  redis.call('XADD', feed, 'MINID', '~', string.format('%.0f', now - feed_keep_ms), '*', 'e', epoch,
    's', redis.call('HINCRBY', partition, 'seq', 1), 'l', lane, 'k', kind, 'd', what)
end
tell('done', entry)
if #asked_again > 0 then
  tell('recall', table.concat(asked_again, ','))
  -- Nobody goes on behind them under this lease.
  redis.call('HDEL', meta, 'lease_upto')
end
if not is_last then
  if #out > 0 then redis.call('HINCRBY', meta, 'lease_count', -#out) end
  return { 'settled', waiting }
end

redis.call('HDEL', meta, 'lease_worker', 'lease_until', 'lease_count', 'lease_upto', 'lease_since', 'not_before')
redis.call('HSET', meta, 'settled', fence)
redis.call('ZREM', leased, lane)
-- If it has not left meanwhile.
if stuck ~= '' and redis.call('ZCOUNT', wait, stuck, stuck) > 0 then redis.call('HINCRBY', attempts, stuck, 1) end
if delay_ms > 0 then redis.call('HSET', meta, 'not_before', string.format('%.0f', now + delay_ms)) end
if waiting > 0 then
  -- Those of the lease that wait on are not being decided any more.
  local is_open = m[5] and #asked_again == 0
  if not is_open or redis.call('ZCOUNT', wait, '-inf', m[5]) > 0 then tell('back', '') end
  redis.call('ZADD', ready, string.format('%.0f', now + delay_ms), lane)
  if delay_ms == 0 then redis.call('PUBLISH', wake, lane) end
else
  local next_due = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2]
  if next_due then
    redis.call('ZADD', ready, string.format('%.0f', math.max(tonumber(next_due), now + delay_ms)), lane)
  else
    redis.call('ZREM', ready, lane)
  end
end
return { 'settled', waiting }
