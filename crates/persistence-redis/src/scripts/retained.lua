-- A page of retained messages by a filter. KEYS[1] is what all keys begin with; then follow how many at
-- most, how many topics to look at, the topic to begin with as a limit of ZRANGEBYLEX, and the levels of
-- the filter; none for all. Returns the limit to go on with, or nothing at the end, and the messages.
local base, call = KEYS[1], redis.call
local limit, budget, from = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local levels = #ARGV - 3
local deep = levels > 0 and ARGV[#ARGV] == '#'
if deep then levels = levels - 1 end
local any = #ARGV == 3

-- By bytes: the operator of Lua asks the locale.
local function less(one, other)
  local length = math.min(#one, #other)
  for at = 1, length do
    local a, b = string.byte(one, at), string.byte(other, at)
    if a ~= b then return a < b end
  end
  return #one < #other
end

-- Whether a topic matches; if not, the least topic behind it that may.
local function check(topic)
  local first = ARGV[4]
  if (first == '+' or first == '#') and string.byte(topic, 1) == 36 then return false, '%' end
  local start = 1
  for level = 1, levels do
    if not start then
      -- The filter has more levels; the next topic may have, too.
      return false, topic
    end
    local slash = string.find(topic, '/', start, true)
    local wanted = ARGV[3 + level]
    if wanted ~= '+' then
      local text = string.sub(topic, start, slash and slash - 1)
      if text ~= wanted then
        local before = string.sub(topic, 1, start - 1)
        if less(topic, before .. wanted) then return false, before .. wanted end
        if less(topic, before .. wanted .. '/') then return false, before .. wanted .. '/' end
        -- Past all that this level can be: on behind what begins with the levels before it.
        if start == 1 then return false, nil end
        return false, string.sub(topic, 1, start - 2) .. '0'
      end
    end
    start = slash and slash + 1
  end
  if start and not deep then
    -- The topic has more levels, and so has all that begins with those that match.
    return false, string.sub(topic, 1, start - 2) .. '0'
  end
  return true
end

local found, bytes, seek = {}, 0, nil
local last = nil
while budget > 0 do
  local names = call('ZRANGEBYLEX', base .. 'topics', from, '+', 'LIMIT', 0, 100)
  if #names == 0 then return { false, found } end
  budget = budget - #names
  for _, topic in ipairs(names) do
    last, from = topic, '(' .. topic
    if not (seek and less(topic, seek)) then
      local matches = any
      if not any then
        matches, seek = check(topic)
        if not matches and not seek then return { false, found } end
      end
      if matches then
        local message = call('HGET', base .. 'retained', topic)
        if message then
          found[#found + 1] = message
          bytes = bytes + #message
          if #found >= limit or bytes > 16777216 then return { from, found } end
        end
      end
    end
  end
  if seek and less(last, seek) then from = '[' .. seek end
end
return { from, found }
