--[[
  append_facts - add facts to the stream of a topic, if it is the run of Redis that the caller believes in, and if the
  groups that must read them are not so far behind that the oldest would be cut off unread.

  KEYS[1]  stream  STREAM  field 'envelope'
  KEYS[2]  run     STRING  the run that the stream was begun in, as its first relay wrote it
  ARGV[1]  seen    the run that the caller believes in: the server's run_id, a dot, and a nonce
  ARGV[2]  keep    entries that are kept at least
  ARGV[3]  number of groups, then their names
  ARGV[…]  envelopes

  Returns  { 'ok' } | { 'anew', run_id of the server }: what was added before may be lost
           | { 'behind', entries that a group has not finished }
  Twice    the facts stand in the stream twice; readers know them by their ids
  Cost     O(facts)
  Caller   queue::stream
]]
local stream, run, seen, keep, groups = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if redis.call('GET', run) ~= seen or string.sub(seen, 1, #run_id) ~= run_id then return { 'anew', run_id } end

local first = 4 + groups
local length = redis.call('EXISTS', stream) == 1 and redis.call('XLEN', stream) or 0
if length > 0 and first <= #ARGV then
  local known = {}
  for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local group = {}
    for i = 1, #info, 2 do group[info[i]] = info[i + 1] end
    known[group['name']] = (tonumber(group['lag'] or 0) or 0) + group['pending']
  end
  for i = 4, first - 1 do
    -- A group that is not there yet will read all there is.
    local behind = known[ARGV[i]] or length
    if behind + #ARGV - first + 1 > keep then return { 'behind', tostring(behind) } end
  end
end
for i = first, #ARGV do
  redis.call('XADD', stream, 'MAXLEN', '~', keep, '*', 'envelope', ARGV[i])
end
return { 'ok' }
