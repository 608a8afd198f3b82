#!lua flags=allow-oom
--[[
  lock - take the locks of all the places that a batch proposes to reserve, all or nothing per job, where not all of
  them were free.

  KEYS[…]  lock keys, job by job
  ARGV[1]  lane
  ARGV[2]  fence
  ARGV[3]  ttl_ms
  ARGV[4…] how many of the keys belong to each job

  Returns  { 'locked', index of each job (from 0) that a foreign lock kept out } | { 'stale' }
  Twice    meets its own locks and renews them
  Cost     O(keys)
  Caller   queue::lock
]]
local lane, fence, ttl_ms = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local mine = lane .. ':' .. ARGV[2]
local reply, at, values = { 'locked' }, 1, {}
for from = 1, #KEYS, 1000 do
  local part = redis.call('MGET', unpack(KEYS, from, math.min(from + 999, #KEYS)))
  for i = 1, math.min(1000, #KEYS - from + 1) do values[from + i - 1] = part[i] end
end
for job = 4, #ARGV do
  local last, free = at + tonumber(ARGV[job]) - 1, true
  for i = at, last do
    local held = values[i]
    if held and held ~= mine then
      local other_lane, other_fence = string.match(held, '^(%d+):(%d+)$')
      if other_lane ~= lane then
        free = false
      elseif tonumber(other_fence) > fence then
        return { 'stale' }
      end
    end
  end
  if free then
    for i = at, last do redis.call('SET', KEYS[i], mine, 'PX', ttl_ms) end
  else
    for i = at, last do
      if values[i] == mine then redis.call('DEL', KEYS[i]) end
    end
    reply[#reply + 1] = tostring(job - 4)
  end
  at = last + 1
end
return reply
