#!lua flags=allow-oom
--[[
  control - copy pauses and limits from PostgreSQL to a partition, as a whole.

  KEYS[1]  partition  HASH    epoch, seq, paused, message, controls, controls_version, rate_*, lanes_at_once
  KEYS[2]  ready      ZSET    lane -> due at (ms)
  KEYS[3]  feed       STREAM
  KEYS[4…] by 3: meta (paused, message, rate_max, rate_ms, lease_until, not_before), wait and delayed of each lane
           named in ARGV
  ARGV[1]  wake       channel
  ARGV[2]  epoch      the one these were read for
  ARGV[3]  paused     '1' when the whole queue is
  ARGV[4]  message    of that pause
  ARGV[5]  rate_max   jobs in a window, of all lanes here, or ''
  ARGV[6]  rate_ms    the window
  ARGV[7]  lanes_at_once  leases at the same time, or ''
  ARGV[8]  version    of what was read; rises with every change
  ARGV[9…] by 5: lane, paused, message, rate_max or '', rate_ms

  Returns  { 'copied', how many changed } | { 'epoch', the one that is there }
           | { 'older' }: somebody has copied a later reading in this epoch
  Twice    changes nothing
  Cost     O(lanes)
  Caller   queue::control
]]
local partition, ready, feed = KEYS[1], KEYS[2], KEYS[3]
local wake, epoch, paused, message = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local feed_keep_ms = 60000
local p = redis.call('HMGET', partition, 'epoch', 'paused', 'message', 'controls', 'controls_version')
if p[1] ~= epoch then return { 'epoch', p[1] or '' } end
-- In a new epoch nothing was copied yet, and PostgreSQL may have lost what was known in the one before.
if p[4] == epoch and tonumber(p[5] or 0) > tonumber(ARGV[8]) then return { 'older' } end
local time = redis.call('TIME')
local now = string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
local changed = 0
local function tell(lane, is_paused, text)
  changed = changed + 1
  local seq = redis.call('HINCRBY', partition, 'seq', 1)
  redis.call('XADD', feed, 'MINID', '~', string.format('%.0f', tonumber(now) - feed_keep_ms), '*', 'e', epoch,
    's', seq, 'l', lane, 'k', 'control', 'd', is_paused .. text)
end

local was_paused = p[2] == '1'
if (p[2] or '0') ~= paused or (p[3] or '') ~= message then
  redis.call('HSET', partition, 'paused', paused, 'message', message)
  tell('0', paused, message)
end
local function limit(key, max, window_ms)
  local before = redis.call('HMGET', key, 'rate_max', 'rate_ms')
  if (before[1] or '') == max and (not before[1] or before[2] == window_ms) then return false end
  if max ~= '' then
    redis.call('HSET', key, 'rate_max', max, 'rate_ms', window_ms)
  else
    redis.call('HDEL', key, 'rate_max', 'rate_ms')
  end
  return true
end
local all_limited_anew = limit(partition, ARGV[5], ARGV[6])
if ARGV[7] ~= '' then
  redis.call('HSET', partition, 'lanes_at_once', ARGV[7])
else
  redis.call('HDEL', partition, 'lanes_at_once')
end
for i = 9, #ARGV, 5 do
  local lane, lane_paused, lane_message = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local key = 4 + (i - 9) / 5 * 3
  local meta, wait, delayed = KEYS[key], KEYS[key + 1], KEYS[key + 2]
  local m = redis.call('HMGET', meta, 'paused', 'message', 'lease_until', 'not_before')
  local resumed = m[1] == '1' and lane_paused == '0'
  local limited_anew = limit(meta, ARGV[i + 3], ARGV[i + 4]) or all_limited_anew
  if (m[1] or '0') ~= lane_paused or (m[2] or '') ~= lane_message then
    redis.call('HSET', meta, 'paused', lane_paused, 'message', lane_message)
    tell(lane, lane_paused, lane_message)
  end
  -- A paused lane is taken out of `ready`; whoever ends the pause puts it back, and so does this, for a
  -- lane that has somebody waiting or resting and was lost from it.
  if paused == '0' and lane_paused == '0' and redis.call('EXISTS', wait, delayed) > 0 then
    local was_lost = redis.call('ZADD', ready, 'NX', now, lane) == 1
    -- Who came during the pause waits; what rested before it would put the lane off until it is due. So does a limit
    -- that was reached, until the end of its window. A lease keeps its own end.
    local leased = tonumber(m[3] or 0) > tonumber(now)
    local is_anew = resumed or was_paused or limited_anew
    if not leased and (is_anew or redis.call('EXISTS', wait) == 1) then
      local due = math.max(tonumber(now), tonumber(m[4] or 0))
      redis.call('ZADD', ready, 'LT', string.format('%.0f', due), lane)
    end
    if was_lost or is_anew then
      redis.call('PUBLISH', wake, lane)
    end
  end
end
redis.call('HSET', partition, 'controls', epoch, 'controls_version', ARGV[8])
return { 'copied', changed }
