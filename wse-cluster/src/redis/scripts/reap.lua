#!lua flags=allow-oom
-- Removes places that have lapsed. KEYS: the places. ARGV: the prefix of users, the most at once.
-- Returns how many were removed, and the ids of the users who have left by that.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local places, prefix = KEYS[1], ARGV[1]

local lapsed = redis.call('ZRANGEBYSCORE', places, '-inf', now, 'LIMIT', 0, ARGV[2])
local left = {}
for _, member in ipairs(lapsed) do
  local device, id = string.match(member, '^(%x+:%d+):(.*)$')
  redis.call('ZREM', places, member)
  if device and redis.call('HDEL', prefix .. id, device) == 1 and redis.call('EXISTS', prefix .. id) == 0 then
    left[#left + 1] = id
  end
end
return { #lapsed, left }
