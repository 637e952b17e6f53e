-- A page of records by name: KEYS[1] is what all keys begin with; then follow the sorted set of the names,
-- the hash of the records, the name behind which the page begins or nothing, and how many at most.
-- Returns name, record, name, record ...; at most as many bytes as a reply should have, but one record.
local base, call = KEYS[1], redis.call
local names, records = base .. ARGV[1], base .. ARGV[2]
local from = ARGV[4] and '(' .. ARGV[4] or '-'
local found, bytes = {}, 0
local page = call('ZRANGEBYLEX', names, from, '+', 'LIMIT', 0, ARGV[3])
for first = 1, #page, 200 do
  local part = { unpack(page, first, math.min(first + 199, #page)) }
  local values = call('HMGET', records, unpack(part))
  for at, name in ipairs(part) do
    if values[at] then
      found[#found + 1] = name
      found[#found + 1] = values[at]
      bytes = bytes + #name + #values[at]
    end
  end
  if bytes > 16777216 then break end
end
return found
