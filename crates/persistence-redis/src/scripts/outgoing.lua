-- A page of a queue: KEYS[1] is what all keys begin with; then follow the client, how many at most, and
-- the number behind which the page begins or nothing. Returns entry, message, entry, message ...; the
-- message is nothing where the entry has it, or none. A message that is there already comes as the
-- place of the first one.
local base, call = KEYS[1], redis.call
local from = ARGV[3] and '(' .. ARGV[3] .. '\255' or '-'
local found, bytes, places = {}, 0, {}
for _, entry in ipairs(call('ZRANGEBYLEX', base .. 'queue:' .. ARGV[1], from, '+', 'LIMIT', 0, ARGV[2])) do
  local form, message = string.byte(entry, 9), ''
  if form == 2 or form == 4 then
    local id = string.sub(entry, 17, 32)
    if places[id] then
      message = places[id]
    else
      message = call('HGET', base .. 'message', id) or ''
      places[id] = #found / 2
      bytes = bytes + #message
    end
  end
  found[#found + 1] = entry
  found[#found + 1] = message
  bytes = bytes + #entry
  if bytes > 16777216 then break end
end
return found
