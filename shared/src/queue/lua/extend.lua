#!lua flags=allow-oom
--[[
  extend - take further jobs of a lane under the lease that one has, while those before are written or settled.

  They are written only when every job before them is decided in PostgreSQL; so the order stays what it is.

  KEYS[1]  partition  HASH    epoch, seq, run_id, recovering_until, paused, rate_max
  KEYS[2]  ready      ZSET    lane -> due at (ms)
  KEYS[3]  feed       STREAM
  KEYS[4]  meta       HASH    fence, lease_*, paused, rate_max
  KEYS[5]  wait       ZSET    job (number:payload) -> number
  KEYS[6]  attempts   HASH    number -> failed attempts
  KEYS[7]  delayed    ZSET    not looked at
  KEYS[8]  leased     ZSET    lane -> end of its lease (ms)
  KEYS[9]  idem       HASH    not looked at
  ARGV[1]  lane
  ARGV[2]  worker
  ARGV[3]  fence
  ARGV[4]  max_jobs
  ARGV[5]  lease_ms
  ARGV[6]  after      the last number that the worker has

  Returns  { 'extended', then by 2: job, attempts } | { 'over' }: also when jobs came back at the head,
             when a rate is set, which only a claim looks at, or when jobs were taken by a call whose answer was lost; they are claimed anew, in their order
  Twice    the second call answers 'over'
  Cost     O(max_jobs · log n)
  Caller   queue::claim
]]
local partition, ready, feed, meta, wait, attempts, leased =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[8]
local lane, worker, fence = ARGV[1], ARGV[2], ARGV[3]
local max_jobs, lease_ms, after, feed_keep_ms = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], 60000

local p = redis.call('HMGET', partition, 'epoch', 'run_id', 'recovering_until', 'paused', 'rate_max')
local m = redis.call('HMGET', meta, 'lease_worker', 'fence', 'lease_upto', 'paused', 'rate_max')
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function text(n) return string.format('%.0f', n) end
if m[1] ~= worker or m[2] ~= fence or m[3] ~= after or p[4] == '1' or m[4] == '1' or tonumber(p[3] or 0) > now
  or p[5] or m[5] or string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') ~= p[2] then
  return { 'over' }
end
local jobs = redis.call('ZRANGEBYSCORE', wait, '(' .. after, '+inf', 'LIMIT', 0, max_jobs)
if #jobs == 0 then return { 'over' } end

local until_ms, upto = text(now + lease_ms), string.match(jobs[#jobs], '^%d+')
redis.call('HSET', meta, 'lease_until', until_ms, 'lease_upto', upto)
redis.call('HINCRBY', meta, 'lease_count', #jobs)
redis.call('ZADD', ready, until_ms, lane)
redis.call('ZADD', leased, until_ms, lane)
local reply = { 'extended' }
local has_attempts = redis.call('HLEN', attempts) > 0
for i, job in ipairs(jobs) do
  reply[2 * i] = job
  reply[2 * i + 1] = has_attempts and redis.call('HGET', attempts, string.match(job, '^%d+')) or '0'
end
local seq = redis.call('HINCRBY', partition, 'seq', 1)
redis.call('XADD', feed, 'MINID', '~', text(now - feed_keep_ms), '*', 'e', p[1], 's', seq, 'l', lane,
  'k', 'claim', 'd', upto)
return reply
