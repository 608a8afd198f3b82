#!lua flags=allow-oom
--[[
  take_out - take jobs out of a lane of a named queue whose rows in PostgreSQL say already how they ended. Those that a
  worker has at hand are left to it.

  KEYS[1]  meta      HASH  lease_until, lease_upto
  KEYS[2]  wait      ZSET  job (number:payload) -> number
  KEYS[3]  delayed   ZSET  job, or s:payload when it has no number yet -> due at (ms)
  KEYS[4]  attempts  HASH  number -> failed attempts
  KEYS[5]  errors    HASH  number -> how it failed so far, a line each
  ARGV[1…] jobs

  Returns  { 'taken_out', how many }
  Twice    the second call finds nothing to take out
  Cost     O(jobs · log n)
  Caller   queue::take_out
]]
local meta, wait, delayed, attempts, errors = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local m = redis.call('HMGET', meta, 'lease_until', 'lease_upto')
local upto = tonumber(m[1] or 0) > now and tonumber(m[2] or 0) or 0
local taken = 0
for _, job in ipairs(ARGV) do
  local number = string.match(job, '^%d+')
  local gone = redis.call('ZREM', delayed, job)
  if not number or tonumber(number) > upto then gone = gone + redis.call('ZREM', wait, job) end
  if gone > 0 and number then
    redis.call('HDEL', attempts, number)
    redis.call('HDEL', errors, number)
  end
  taken = taken + gone
end
return { 'taken_out', taken }
