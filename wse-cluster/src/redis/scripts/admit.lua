-- Gives a connection a place. KEYS: the places, the user. ARGV: the device, the limit, 1 to refuse, the lease in ms, the id.
-- Returns {0, device...} when the user has as many as the limit, else {1, first, left, evicted device...}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local since = time[1] * 1000000 + time[2]
local places, user = KEYS[1], KEYS[2]
local me, limit, refuse, lease, id = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1', tonumber(ARGV[4]), ARGV[5]

local live, lapsed, here = {}, {}, false
local all = redis.call('HGETALL', user)
for i = 1, #all, 2 do
  local expires = redis.call('ZSCORE', places, all[i] .. ':' .. id)
  if expires and tonumber(expires) > now then
    live[#live + 1] = { all[i], tonumber(all[i + 1]) or 0 }
    here = here or all[i] == me
  else
    lapsed[#lapsed + 1] = all[i]
  end
end
table.sort(live, function(a, b)
  if a[2] ~= b[2] then return a[2] < b[2] end
  return a[1] < b[1]
end)

if here then
  redis.call('ZADD', places, now + lease, me .. ':' .. id)
  return { 1, 0, 0 }
end
local function remove(device)
  redis.call('HDEL', user, device)
  redis.call('ZREM', places, device .. ':' .. id)
end
for _, device in ipairs(lapsed) do remove(device) end
local excess = #live + 1 - limit
if excess > 0 and refuse then
  local reply = { 0 }
  for _, device in ipairs(live) do reply[#reply + 1] = device[1] end
  return reply
end
local first = #live == 0
local reply = { 1, first and 1 or 0, (first and #lapsed > 0) and 1 or 0 }
for i = 1, excess do
  remove(live[i][1])
  reply[#reply + 1] = live[i][1]
end
redis.call('HSET', user, me, string.format('%.0f', since))
redis.call('ZADD', places, now + lease, me .. ':' .. id)
return reply
