--[[
  same_run - whether Redis is still the run that the epoch of a partition began in: another one may have lost something.

  KEYS[1]  partition  HASH  epoch, run_id

  Returns  { 'same', epoch } | { 'restarted', epoch } | { 'no_epoch' }
  Twice    it only reads
  Cost     O(1)
  Caller   queue::epoch
]]
local p = redis.call('HMGET', KEYS[1], 'epoch', 'run_id')
if not p[1] then return { 'no_epoch' } end
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
return { run_id == p[2] and 'same' or 'restarted', p[1] }
