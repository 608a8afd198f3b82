--[[
  enqueue - add jobs to one lane, each with the next number.

  KEYS[1]  partition  HASH    epoch, seq, paused
  KEYS[2]  ready      ZSET    lane -> due at (ms)
  KEYS[3]  lanes      SET     lanes of this partition
  KEYS[4]  feed       STREAM
  KEYS[5]  meta       HASH    last, lease_until, lease_count, idem_since, paused
  KEYS[6]  wait       ZSET    member and score = number
  KEYS[7]  jobs       HASH    number -> payload
  KEYS[8]  live       HASH    owner and request -> number:nonce
  KEYS[9]  owners     HASH    owner -> live jobs
  KEYS[10] idem       HASH    key -> number:nonce:body (this half day)
  KEYS[11] idem_old   HASH    the same, the half day before
  ARGV[1]  lane
  ARGV[2]  wake       channel
  ARGV[3]  max_waiting
  ARGV[4]  max_per_owner
  ARGV[5…] by 6: owner, body (owner and request), idem_key or '', nonce, payload, seats ('1,2' or '')

  Returns  { 'ok', epoch, seq, then one a job: 'word number nonce place' }
             words: queued | same | mismatch | too_many | full   (place 0: no longer waiting)
           | { 'no_epoch' }
  Twice    the second call answers 'same', as long as the jobs live or their keys are kept
  Cost     O(jobs · log n)
  Caller   queue::enqueue
]]
local partition, ready, lanes, feed, meta = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local wait, jobs, live, owners, idem, idem_old = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local lane, wake = ARGV[1], ARGV[2]
local max_waiting, max_per_owner = tonumber(ARGV[3]), tonumber(ARGV[4])
local half_day_s, feed_keep_ms, call = 43200, 60000, redis.call

local p = call('HMGET', partition, 'epoch', 'paused')
local epoch = p[1]
if not epoch then return { 'no_epoch' } end

local time = call('TIME')
local now_s, now_ms = tonumber(time[1]), tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local m = call('HMGET', meta, 'last', 'lease_until', 'lease_count', 'idem_since', 'paused')
local number = math.max(tonumber(m[1] or 0) + 1, tonumber(time[1]) * 1000000 + tonumber(time[2]))
-- Integers of six digits are much cheaper to write than such large numbers, which Lua keeps as floating-point.
local function text(n) return string.format('%d%06d', n / 1000000, n % 1000000) end
local first, waiting = number, call('ZCARD', wait)
local leased = tonumber(m[2] or 0) > now_ms
local active = leased and tonumber(m[3] or 0) or 0

if not m[4] or now_s - tonumber(m[4]) > half_day_s then
  call('UNLINK', idem_old)
  if call('EXISTS', idem) == 1 then call('RENAME', idem, idem_old) end
  call('HSET', meta, 'idem_since', now_s)
end

-- Long lists go to a command a thousand values at a time: Lua's stack holds some thousands.
local function read(key, fields)
  local found = {}
  for from = 1, #fields, 1000 do
    local values = call('HMGET', key, unpack(fields, from, math.min(from + 999, #fields)))
    for i, value in ipairs(values) do found[fields[from + i - 1]] = value end
  end
  return found
end
local function write(command, key, values)
  for from = 1, #values, 1000 do call(command, key, unpack(values, from, math.min(from + 999, #values))) end
end

local owner_ids, bodies, idem_keys = {}, {}, {}
for i = 5, #ARGV, 6 do
  owner_ids[#owner_ids + 1] = ARGV[i]
  if ARGV[i + 2] == '' then bodies[#bodies + 1] = ARGV[i + 1] else idem_keys[#idem_keys + 1] = ARGV[i + 2] end
end
local owned, live_jobs, kept, kept_old = read(owners, owner_ids), read(live, bodies), read(idem, idem_keys), {}
if #idem_keys > 0 then kept_old = read(idem_old, idem_keys) end

-- What this call adds: places by number, and values for one command each.
local places, to_wait, to_jobs, to_live, to_idem, more, to_owners = {}, {}, {}, {}, {}, {}, {}
local function known(value)
  local at, nonce = string.match(value, '^(%d+):(%d+)')
  local place = places[at]
  if not place then
    local rank = call('ZRANK', wait, at)
    place = rank and math.max(rank - active + 1, 0) or 0
  end
  return 'same', at, nonce, place
end

local function add(owner, body, idem_key, nonce, payload)
  local old = live_jobs[body]
  if idem_key ~= '' then
    old = kept[idem_key] or kept_old[idem_key]
    if old and string.match(old, ':([^:]+)$') ~= body then return 'mismatch', '0', '0', 0 end
  end
  if old then return known(old) end
  if waiting >= max_waiting then return 'full', '0', '0', 0 end
  local count = tonumber(owned[owner] or 0)
  if count >= max_per_owner then return 'too_many', '0', '0', 0 end
  local at = text(number)
  number, waiting = number + 1, waiting + 1
  -- Of those under a lease some may have left meanwhile.
  local place = math.max(waiting - active, 1)
  places[at], owned[owner], more[owner] = place, count + 1, true
  to_wait[#to_wait + 1], to_wait[#to_wait + 2] = at, at
  to_jobs[#to_jobs + 1], to_jobs[#to_jobs + 2] = at, payload
  if idem_key ~= '' then
    kept[idem_key] = at .. ':' .. nonce .. ':' .. body
    to_idem[#to_idem + 1], to_idem[#to_idem + 2] = idem_key, kept[idem_key]
  else
    live_jobs[body] = at .. ':' .. nonce
    to_live[#to_live + 1], to_live[#to_live + 2] = body, live_jobs[body]
  end
  return 'queued', at, nonce, place
end

local reply, named = { 'ok', epoch, '0' }, {}
for i = 5, #ARGV, 6 do
  local word, at, nonce, place = add(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4])
  if word == 'queued' and ARGV[i + 5] ~= '' then named[#named + 1] = at .. '=' .. ARGV[i + 5] end
  reply[#reply + 1] = string.format('%s %s %s %d', word, at, nonce, place)
end

local added = number - first
if added > 0 then
  for owner in pairs(more) do to_owners[#to_owners + 1], to_owners[#to_owners + 2] = owner, string.format('%d', owned[owner]) end
  write('ZADD', wait, to_wait)
  write('HSET', jobs, to_jobs)
  write('HSET', live, to_live)
  write('HSET', idem, to_idem)
  write('HSET', owners, to_owners)
  call('HSET', meta, 'last', text(number - 1))
  call('SADD', lanes, lane)
  local seq = call('HINCRBY', partition, 'seq', 1)
  reply[3] = tostring(seq)
  call('XADD', feed, 'MINID', '~', string.format('%.0f', now_ms - feed_keep_ms), '*', 'e', epoch, 's', seq,
    'l', lane, 'k', 'add', 'd', text(first) .. ':' .. added .. ':' .. table.concat(named, ';'))
  -- A paused lane is put into `ready` by whoever ends the pause.
  if p[2] ~= '1' and m[5] ~= '1' then
    call('ZADD', ready, 'NX', now_ms, lane)
    if not leased then call('PUBLISH', wake, lane) end
  end
end
return reply
