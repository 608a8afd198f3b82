--[[
  spend - take one from a budget that refills evenly, if there is one left.

  KEYS[1]  budget     HASH  left (may have a fraction), at_ms
  ARGV[1]  max        in a window, and at once
  ARGV[2]  window_ms

  Returns  { 'spent' } | { 'refused', ms until there is one again }
  Twice    takes one more
  Cost     O(1)
  Caller   queue::budget
]]
local budget = KEYS[1]
local max, window_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local b = redis.call('HMGET', budget, 'left', 'at_ms')
local left = tonumber(b[1]) or max
-- A clock that was set back gives nothing.
left = math.min(max, left + math.max(0, now - (tonumber(b[2]) or now)) * max / window_ms)
if left < 1 then return { 'refused', string.format('%.0f', math.ceil((1 - left) * window_ms / max)) } end
redis.call('HSET', budget, 'left', string.format('%.6f', left - 1), 'at_ms', string.format('%.0f', now))
-- Full again by then: as good as unknown.
redis.call('PEXPIRE', budget, string.format('%.0f', window_ms))
return { 'spent' }
