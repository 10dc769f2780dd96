-- Prolongs places. KEYS: the places. ARGV: the prefix of users, the lease in ms, then devices, each with the id of its user.
-- Returns the numbers of those that are not there, from 1.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local places, prefix, lease = KEYS[1], ARGV[1], tonumber(ARGV[2])

local lost, live = {}, {}
for i = 3, #ARGV, 2 do
  local member = ARGV[i] .. ':' .. ARGV[i + 1]
  local expires = redis.call('ZSCORE', places, member)
  if expires and tonumber(expires) > now and redis.call('HEXISTS', prefix .. ARGV[i + 1], ARGV[i]) == 1 then
    live[#live + 1] = member
  else
    lost[#lost + 1] = (i - 1) / 2
  end
end
for _, member in ipairs(live) do
  redis.call('ZADD', places, now + lease, member)
end
return lost
