#!lua flags=allow-oom
--[[
  claim - hand the head of a lane to one worker, as a batch under a lease.

  The jobs stay where they are; the lease says how many of them, from the head, are active. A lease that ran
  out therefore needs no rescue: its jobs still stand at the head, and this call leases them anew.

  KEYS[1]  partition  HASH    epoch, seq, run_id, controls, recovering_until, paused, rate_*, lanes_at_once
  KEYS[2]  ready      ZSET    lane -> due at (ms)
  KEYS[3]  feed       STREAM
  KEYS[4]  meta       HASH    last, fence, lease_*, paused, not_before, rate_*
  KEYS[5]  wait       ZSET    job (number:payload) -> number
  KEYS[6]  attempts   HASH    number -> failed attempts
  KEYS[7]  delayed    ZSET    job, or s:payload when it has no number yet -> due at (ms)
  KEYS[8]  leased     ZSET    lane -> end of its lease (ms)
  KEYS[9]  idem       HASH    key -> number and tag
  ARGV[1]  lane
  ARGV[2]  worker
  ARGV[3]  max_jobs
  ARGV[4]  lease_ms

  Returns  { 'claimed', fence, stalled ('1' when a lease had run out), then by 2: job, attempts }
           | { 'paused' } | { 'empty' } | { 'leased', until_ms }
           | { 'later', at_ms }: it rests, all that is left is delayed, or a limit is reached
           | { 'recovering', until_ms } | { 'no_controls', epoch } | { 'no_epoch' }
           | { 'restarted', epoch }: this is another run of Redis than the one that the epoch began in, so
             it may have lost jobs that somebody else remembers
  Twice    the second call meets its own lease and answers 'leased'
  Cost     O(max_jobs · log n)
  Caller   queue::claim
]]
local partition, ready, feed, meta, wait = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local attempts, delayed, leased, idem = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local lane, worker, max_jobs, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local feed_keep_ms, look_again_ms, day_s = 60000, 100, 86400

local p = redis.call('HMGET', partition, 'epoch', 'controls', 'recovering_until', 'paused', 'run_id',
  'lanes_at_once', 'rate_max', 'rate_ms', 'rate_from', 'rate_used')
if not p[1] then return { 'no_epoch' } end
if string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') ~= p[5] then return { 'restarted', p[1] } end
if p[2] ~= p[1] then return { 'no_controls', p[1] } end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function text(n) return string.format('%.0f', n) end
if tonumber(p[3] or 0) > now then return { 'recovering', p[3] } end

local m = redis.call('HMGET', meta, 'paused', 'lease_worker', 'lease_until', 'not_before', 'last',
  'rate_max', 'rate_ms', 'rate_from', 'rate_used')
if p[4] == '1' or m[1] == '1' then
  redis.call('ZREM', ready, lane)
  return { 'paused' }
end
local lease_until = tonumber(m[3] or 0)
if m[2] and lease_until > now then return { 'leased', m[3] } end
if tonumber(m[4] or 0) > now then return { 'later', m[4] } end

-- What rested comes back to its own place; what was added for this moment gets its number now, by which its place is
-- found. It begins with its id, whose digits are its key.
local function digits(id)
  return (string.gsub(id, '.', function(byte) return string.format('%02x', string.byte(byte)) end))
end
local function tell(kind, what)
  redis.call('XADD', feed, 'MINID', '~', text(now - feed_keep_ms), '*', 'e', p[1],
    's', redis.call('HINCRBY', partition, 'seq', 1), 'l', lane, 'k', kind, 'd', what)
end
local rested, last = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, max_jobs), tonumber(m[5] or 0)
local new, back = {}, {}
for _, job in ipairs(rested) do
  redis.call('ZREM', delayed, job)
  if string.sub(job, 1, 2) == 's:' then
    last = math.max(last + 1, tonumber(time[1]) * 1000000 + tonumber(time[2]))
    local number, id = text(last), string.sub(job, 3, 18)
    job = number .. string.sub(job, 2)
    redis.call('HSET', meta, 'last', number)
    redis.call('HSET', idem, digits(id), number .. id)
    new[#new + 1] = number
  else
    back[#back + 1] = string.match(job, '^%d+')
  end
  redis.call('ZADD', wait, string.match(job, '^%d+'), job)
end
if #new > 0 then
  redis.call('EXPIRE', idem, day_s)
  tell('add', new[1] .. ':' .. #new .. ':')
end
if #back > 0 then tell('recall', table.concat(back, ',')) end

-- At most so many jobs in a window, which begins with its first job; of this lane and of the whole queue.
local function room(max, window_ms, from, used)
  if not max then return max_jobs end
  if now >= tonumber(from or 0) + tonumber(window_ms) then return tonumber(max) end
  return tonumber(max) - tonumber(used or 0), text(tonumber(from) + tonumber(window_ms))
end
local function use(key, max, window_end, count)
  if not max then return end
  if not window_end then redis.call('HSET', key, 'rate_from', text(now), 'rate_used', 0) end
  redis.call('HINCRBY', key, 'rate_used', count)
end
local of_lane, lane_at = room(m[6], m[7], m[8], m[9])
local of_queue, queue_at = room(p[7], p[8], p[9], p[10])
if of_lane <= 0 or of_queue <= 0 then
  local at = of_lane <= 0 and lane_at or queue_at
  redis.call('ZADD', ready, at, lane)
  return { 'later', at }
end
-- Lanes whose worker has died, and that nobody may have claimed since.
redis.call('ZREMRANGEBYSCORE', leased, '-inf', now)
if p[6] and redis.call('ZCARD', leased) >= tonumber(p[6]) then return { 'later', text(now + look_again_ms) } end

local jobs = redis.call('ZRANGE', wait, 0, math.min(max_jobs, of_lane, of_queue) - 1)
if #jobs == 0 then
  redis.call('HDEL', meta, 'lease_worker', 'lease_until', 'lease_count', 'not_before')
  local next_due = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2]
  if next_due then
    redis.call('ZADD', ready, next_due, lane)
    return { 'later', next_due }
  end
  redis.call('ZREM', ready, lane)
  return { 'empty' }
end
use(meta, m[6], lane_at, #jobs)
use(partition, p[7], queue_at, #jobs)
local fence = redis.call('HINCRBY', meta, 'fence', 1)
local until_ms, upto = now + lease_ms, string.match(jobs[#jobs], '^%d+')
redis.call('HSET', meta, 'lease_worker', worker, 'lease_until', text(until_ms), 'lease_since', text(now),
  'lease_count', #jobs, 'lease_upto', upto, 'lease_of_lane', m[6] and #jobs or 0, 'lease_of_queue', p[7] and #jobs or 0)
redis.call('HDEL', meta, 'not_before')
if m[2] then redis.call('HINCRBY', meta, 'stalled', 1) end
redis.call('ZADD', ready, text(until_ms), lane)
redis.call('ZADD', leased, text(until_ms), lane)

local reply = { 'claimed', tostring(fence), m[2] and '1' or '0' }
local has_attempts = redis.call('HLEN', attempts) > 0
for i, job in ipairs(jobs) do
  reply[2 + 2 * i] = job
  reply[3 + 2 * i] = has_attempts and redis.call('HGET', attempts, string.match(job, '^%d+')) or '0'
end
tell('claim', upto)
return reply
