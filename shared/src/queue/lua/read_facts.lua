#!lua flags=allow-oom
--[[
  read_facts - hand the next facts of a topic to a reader of a group. What was handed out and not finished comes first: a
  reader's own at once, somebody else's when that one has been silent for a while. So a group is at one part of the
  stream at a time, in its order, whatever number of readers it has and whoever dies.

  KEYS[1]  stream  STREAM  field 'envelope'
  ARGV[1]  group
  ARGV[2]  reader
  ARGV[3]  at_most
  ARGV[4]  silent_ms  a reader that has not finished within this is taken for dead

  Returns  { 'facts', then by 2: id, envelope } | { 'empty' } | { 'busy' }: another reader is at it
  Twice    the second call hands out the same again
  Cost     O(at_most)
  Caller   queue::stream
]]
local stream, group, reader, at_most, silent_ms = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local forget_ms = 3600000

local function facts(entries)
  local reply = { 'facts' }
  for _, entry in ipairs(entries) do
    local id, fields, envelope = entry[1], entry[2] or {}, ''
    for i = 1, #fields, 2 do
      if fields[i] == 'envelope' then envelope = fields[i + 1] end
    end
    reply[#reply + 1], reply[#reply + 2] = id, envelope
  end
  return reply
end

local function read(after)
  local got = redis.pcall('XREADGROUP', 'GROUP', group, reader, 'COUNT', at_most, 'STREAMS', stream, after)
  if got and got.err then
    if not string.find(got.err, 'NOGROUP', 1, true) then error(got.err) end
    redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
    got = redis.call('XREADGROUP', 'GROUP', group, reader, 'COUNT', at_most, 'STREAMS', stream, after)
  end
  return got and got[1] and got[1][2] or {}
end

local own = read('0')
if #own > 0 then return facts(own) end
if redis.call('XPENDING', stream, group)[1] > 0 then
  local claimed = redis.call('XAUTOCLAIM', stream, group, reader, silent_ms, '0-0', 'COUNT', at_most)[2]
  if #claimed == 0 then return { 'busy' } end
  -- Somebody has died: readers that left nothing behind and were not heard of for an hour are forgotten.
  for _, info in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
    local other = {}
    for i = 1, #info, 2 do other[info[i]] = info[i + 1] end
    if other['pending'] == 0 and other['idle'] > forget_ms then
      redis.call('XGROUP', 'DELCONSUMER', stream, group, other['name'])
    end
  end
  return facts(claimed)
end
local new = read('>')
if #new == 0 then return { 'empty' } end
return facts(new)
