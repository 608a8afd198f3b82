#!lua flags=allow-oom
--[[
  renew - keep the lease of a batch that is still being worked on.

  KEYS[1]  ready   ZSET  lane -> due at (ms)
  KEYS[2]  meta    HASH  fence, lease_*
  KEYS[3]  leased  ZSET  lane -> end of its lease (ms)
  ARGV[1]  lane
  ARGV[2]  worker
  ARGV[3]  fence
  ARGV[4]  lease_ms

  Returns  { 'renewed', until_ms } | { 'lost' }
  Twice    moves the end of the lease once more
  Cost     O(log lanes)
  Caller   queue::lease
]]
local ready, meta, leased = KEYS[1], KEYS[2], KEYS[3]
local lane, worker, fence, lease_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local m = redis.call('HMGET', meta, 'lease_worker', 'fence')
if m[1] ~= worker or m[2] ~= fence then return { 'lost' } end
local time = redis.call('TIME')
local until_ms = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + lease_ms)
redis.call('HSET', meta, 'lease_until', until_ms)
redis.call('ZADD', ready, until_ms, lane)
redis.call('ZADD', leased, until_ms, lane)
return { 'renewed', until_ms }
