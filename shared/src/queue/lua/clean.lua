#!lua flags=allow-oom
--[[
  clean - forget finished jobs, oldest first. What a batch adds meanwhile is younger and stays.

  KEYS[1]  finished  LIST  finished jobs, newest first: a record, of a named queue with earlier errors after it, a line each
  ARGV[1]  older_ms  only those that finished longer ago, or 0 for all
  ARGV[2]  limit     so many at most

  Returns  { 'cleaned', how many }
  Twice    forgets further ones, if there are any
  Cost     O(jobs that are kept)
  Caller   queue::inspect
]]
local finished, older_ms, limit = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local before = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) - older_ms
-- A record that cannot be read is of no use to anybody.
local function is_young(record)
  local is_read, job = pcall(cjson.decode, string.match(record, '^[^\n]*'))
  return is_read and type(job) == 'table' and type(job.at_ms) == 'number' and job.at_ms >= before
end
local cleaned = 0
while cleaned < limit do
  local oldest = redis.call('LINDEX', finished, -1)
  if not oldest or (older_ms > 0 and is_young(oldest)) then break end
  redis.call('RPOP', finished)
  cleaned = cleaned + 1
end
return { 'cleaned', cleaned }
