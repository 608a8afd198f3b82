#!lua flags=allow-oom
--[[
  begin_epoch - say that a partition may have lost something: nothing is claimed for a while, so that every
  gateway can re-enter the jobs it knows of.

  KEYS[1]  partition  HASH  epoch, seq, run_id, recovering_until, controls
  ARGV[1]  seen       the epoch that the caller found wanting, or '' for none
  ARGV[2]  epoch      the new one
  ARGV[3]  recover_ms
  ARGV[4]  least_seq  the feed's sequence goes on above this

  Returns  { 'begun', epoch } | { 'epoch', the one that is there }
  Twice    the second call finds another epoch than it saw and changes nothing
  Cost     O(1)
  Caller   queue::epoch
]]
local partition, seen, epoch, recover_ms, least_seq = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local p = redis.call('HMGET', partition, 'epoch', 'seq')
if (p[1] or '') ~= seen then return { 'epoch', p[1] or '' } end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('HSET', partition, 'epoch', epoch, 'recovering_until', string.format('%.0f', now + recover_ms),
  'run_id', string.match(redis.call('INFO', 'server'), 'run_id:(%x+)'))
if tonumber(p[2] or 0) < least_seq then redis.call('HSET', partition, 'seq', ARGV[4]) end
redis.call('HDEL', partition, 'controls')
return { 'begun', epoch }
