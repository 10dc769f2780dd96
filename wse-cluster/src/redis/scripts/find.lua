#!lua flags=no-writes
-- Looks a user up. KEYS: the places, the user. ARGV: the id. Returns the devices, oldest first.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local live = {}
local all = redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do
  local expires = redis.call('ZSCORE', KEYS[1], all[i] .. ':' .. ARGV[1])
  if expires and tonumber(expires) > now then
    live[#live + 1] = { all[i], tonumber(all[i + 1]) or 0 }
  end
end
table.sort(live, function(a, b)
  if a[2] ~= b[2] then return a[2] < b[2] end
  return a[1] < b[1]
end)
for i, device in ipairs(live) do live[i] = device[1] end
return live
