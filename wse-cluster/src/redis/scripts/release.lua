#!lua flags=allow-oom
-- Takes a place back. KEYS: the places, the user. ARGV: the device, the id.
-- Returns {found, the oldest device that is left or ''}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local places, user, me, id = KEYS[1], KEYS[2], ARGV[1], ARGV[2]

local found, oldest, since, lapsed = 0, '', nil, {}
local all = redis.call('HGETALL', user)
for i = 1, #all, 2 do
  local device, age = all[i], tonumber(all[i + 1]) or 0
  local expires = redis.call('ZSCORE', places, device .. ':' .. id)
  if device == me then
    found = 1
  elseif not expires or tonumber(expires) <= now then
    lapsed[#lapsed + 1] = device
  elseif not since or age < since or (age == since and device < oldest) then
    oldest, since = device, age
  end
end
redis.call('HDEL', user, me)
redis.call('ZREM', places, me .. ':' .. id)
-- Places that have lapsed are left for the reaper if this was none of them: it tells that the user has left.
if found == 1 and oldest == '' then
  for _, device in ipairs(lapsed) do
    redis.call('HDEL', user, device)
    redis.call('ZREM', places, device .. ':' .. id)
  end
end
return { found, oldest }
