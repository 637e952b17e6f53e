-- A step of what goes on in the background: takes apart queues that were put aside, and removes what
-- has expired. ARGV: the time in milliseconds, how much to do at most, the writer's name, the seconds
-- for which its record is kept. Returns 1 if there is more to do.
local base, call = KEYS[1], redis.call
local now, most = ARGV[1], tonumber(ARGV[2])
local MESSAGE, SHARES, QUEUE = base .. 'message', base .. 'shares', base .. 'queue:'
local TRASH = base .. 'trash'
local EXPIRING, EXPIRING_RETAINED = base .. 'expiring', base .. 'expiring-retained'
-- Also when Redis is out of memory.
call('UNLINK', base .. 'nothing')
call('EXPIRE', base .. 'writer:' .. ARGV[3], ARGV[4])

local removed, more = {}, 0
local function forget(entry)
  local form = string.byte(entry, 9)
  if form == 2 or form == 4 then
    local id = string.sub(entry, 17, 32)
    removed[id] = (removed[id] or 0) + 1
  end
end

local name = call('SRANDMEMBER', TRASH)
if name then
  local queue = TRASH .. ':' .. name
  for _, entry in ipairs(call('ZRANGE', queue, 0, most - 1)) do forget(entry) end
  call('ZREMRANGEBYRANK', queue, 0, most - 1)
  if call('EXISTS', queue) == 0 then call('SREM', TRASH, name) end
  more = 1
end

local due = call('ZRANGEBYSCORE', EXPIRING, '-inf', now, 'LIMIT', 0, most)
for _, member in ipairs(due) do
  local number, queue = string.sub(member, 1, 8), QUEUE .. string.sub(member, 9)
  local entry = call('ZRANGEBYLEX', queue, '[' .. number, '(' .. number .. '\255', 'LIMIT', 0, 1)[1]
  local form = entry and string.byte(entry, 9)
  -- Any other form is an entry of a later session under the number of an earlier one's.
  if form == 3 or form == 4 then
    local client, size = string.sub(member, 9), struct.unpack('>I4', entry, 13)
    call('ZREM', queue, entry)
    if size ~= 0 and call('HINCRBY', base .. 'bytes', client, -size) == 0 then
      call('HDEL', base .. 'bytes', client)
    end
    forget(entry)
  end
  call('ZREM', EXPIRING, member)
end
if #due == most then more = 1 end

due = call('ZRANGEBYSCORE', EXPIRING_RETAINED, '-inf', now, 'LIMIT', 0, most)
for _, topic in ipairs(due) do
  call('HDEL', base .. 'retained', topic)
  call('ZREM', base .. 'topics', topic)
  call('ZREM', EXPIRING_RETAINED, topic)
end
if #due == most then more = 1 end

for id, count in pairs(removed) do
  local left = (tonumber(call('HGET', SHARES, id)) or 1) - count
  if left > 1 then
    call('HSET', SHARES, id, left)
  else
    call('HDEL', SHARES, id)
    if left < 1 then call('HDEL', MESSAGE, id) end
  end
end
return more
