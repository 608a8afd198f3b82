--[[
  enqueue - add jobs to one lane, each with the next number.

  KEYS[1]  partition  HASH    epoch, seq, paused
  KEYS[2]  ready      ZSET    lane -> due at (ms)
  KEYS[3]  lanes      SET     lanes of this partition
  KEYS[4]  feed       STREAM
  KEYS[5]  meta       HASH    last, lease_until, lease_count, idem_since, paused, not_before
  KEYS[6]  wait       ZSET    job (number:payload) -> number
  KEYS[7]  owners     HASH    owner -> entries of their live jobs
  KEYS[8]  idem       HASH    key -> entry (this half day)
  KEYS[9]  idem_old   HASH    the same, the half day before
  ARGV[1]  lane
  ARGV[2]  wake       channel
  ARGV[3]  max_waiting
  ARGV[4]  max_per_owner
  ARGV[5…] by 5: owner or '', tag, idem_key or '', payload, seats ('1,2' or '')

  A tag is 16 bytes: fingerprint of the request, and nonce of the job. An entry is 32: number, and tag; that of a job
  with a key has no fingerprint among its owner's, as it is not found by its request.

  Returns  { 'ok', epoch, seq, first number, how many were ahead of it, letters, then by 3 a 's': number, nonce, place }
             letters: one a job: q queued (the next number) | s the same as before (place 0: no longer waiting)
                      | m mismatch | t too many | f full
           | { 'no_epoch' }
  Twice    the second call answers 's', as long as the jobs live or their keys are kept
  Cost     O(jobs · log n)
  Caller   queue::enqueue
]]
local partition, ready, lanes, feed, meta = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local wait, owners, idem, idem_old = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local lane, wake = ARGV[1], ARGV[2]
local max_waiting, max_per_owner = tonumber(ARGV[3]), tonumber(ARGV[4])
local half_day_s, feed_keep_ms, call, sub = 43200, 60000, redis.call, string.sub
local no_fingerprint = string.rep('\0', 8)

local p = call('HMGET', partition, 'epoch', 'paused')
local epoch = p[1]
if not epoch then return { 'no_epoch' } end

local time = call('TIME')
local now_s, now_ms = tonumber(time[1]), tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local m = call('HMGET', meta, 'last', 'lease_until', 'lease_count', 'idem_since', 'paused', 'not_before')
local number = math.max(tonumber(m[1] or 0) + 1, tonumber(time[1]) * 1000000 + tonumber(time[2]))
-- Integers of six digits are much cheaper to write than such large numbers, which Lua keeps as floating-point.
local function text(n) return string.format('%d%06d', n / 1000000, n % 1000000) end
local first, waiting = number, call('ZCARD', wait)
local leased = tonumber(m[2] or 0) > now_ms
local active = leased and tonumber(m[3] or 0) or 0
local ahead = waiting - active

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

local owner_ids, idem_keys = {}, {}
for i = 5, #ARGV, 5 do
  if ARGV[i] ~= '' then owner_ids[#owner_ids + 1] = ARGV[i] end
  if ARGV[i + 2] ~= '' then idem_keys[#idem_keys + 1] = ARGV[i + 2] end
end
local owned, kept, kept_old = read(owners, owner_ids), read(idem, idem_keys), read(idem_old, idem_keys)

-- The entry of an owner's live job with this fingerprint.
local function live(entries, fingerprint)
  for at = 1, #entries, 32 do
    if sub(entries, at + 16, at + 23) == fingerprint then return sub(entries, at, at + 31) end
  end
end

-- What this call adds.
local to_wait, to_idem, changed, letters, same, named = {}, {}, {}, {}, {}, {}
local function known(entry)
  local at, place = sub(entry, 1, 16), 0
  if tonumber(at) >= first then
    place = math.max(ahead + tonumber(at) - first + 1, 1)
  elseif call('ZCOUNT', wait, at, at) > 0 then
    place = math.max(call('ZCOUNT', wait, '-inf', '(' .. at) - active + 1, 0)
  end
  same[#same + 1], same[#same + 2], same[#same + 3] = at, sub(entry, 25), place
  return 's'
end

local function add(owner, tag, idem_key, payload, seats)
  local entries, fingerprint = owned[owner] or '', sub(tag, 1, 8)
  local old
  if idem_key ~= '' then
    old = kept[idem_key] or kept_old[idem_key]
    if old and sub(old, 17, 24) ~= fingerprint then return 'm' end
  elseif entries ~= '' then
    old = live(entries, fingerprint)
  end
  if old then return known(old) end
  if waiting >= max_waiting then return 'f' end
  if #entries >= max_per_owner * 32 then return 't' end
  local at = text(number)
  number, waiting = number + 1, waiting + 1
  to_wait[#to_wait + 1], to_wait[#to_wait + 2] = at, at .. ':' .. payload
  if owner ~= '' then
    owned[owner] = entries .. at .. (idem_key == '' and tag or no_fingerprint .. sub(tag, 9))
    changed[owner] = true
  end
  if idem_key ~= '' then
    kept[idem_key] = at .. tag
    to_idem[#to_idem + 1], to_idem[#to_idem + 2] = idem_key, kept[idem_key]
  end
  if seats ~= '' then named[#named + 1] = at .. '=' .. seats end
  return 'q'
end

for i = 5, #ARGV, 5 do
  letters[#letters + 1] = add(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4])
end

local reply, added = { 'ok', epoch, 0, text(first), ahead, table.concat(letters) }, number - first
for i, part in ipairs(same) do reply[6 + i] = part end
if added > 0 then
  local to_owners = {}
  for owner in pairs(changed) do to_owners[#to_owners + 1], to_owners[#to_owners + 2] = owner, owned[owner] end
  write('ZADD', wait, to_wait)
  write('HSET', owners, to_owners)
  write('HSET', idem, to_idem)
  -- Also where nobody comes any more who would put the older ones away.
  if #to_idem > 0 then call('EXPIRE', idem, 2 * half_day_s, 'NX') end
  call('HSET', meta, 'last', text(number - 1))
  call('SADD', lanes, lane)
  local seq = call('HINCRBY', partition, 'seq', 1)
  reply[3] = seq
  call('XADD', feed, 'MINID', '~', string.format('%.0f', now_ms - feed_keep_ms), '*', 'e', epoch, 's', seq,
    'l', lane, 'k', 'add', 'd', text(first) .. ':' .. added .. ':' .. table.concat(named, ';'))
  -- A paused lane is put into `ready` by whoever ends the pause.
  if p[2] ~= '1' and m[5] ~= '1' then
    -- A lane whose jobs all rest is due when the first of them is; these do not rest. A lease keeps its own end.
    call('ZADD', ready, leased and 'NX' or 'LT', math.max(now_ms, tonumber(m[6] or 0)), lane)
    if not leased then call('PUBLISH', wake, lane) end
  end
end
return reply
