-- Applies a group of batches, all or nothing. KEYS[1] is what all keys begin with; then follow the
-- writer's name, the state in which it believes its record to be, the state it is to have afterwards,
-- the seconds for which the record is kept, whether the group only removes, and the operations.
local base, call, args = KEYS[1], redis.call, ARGV
local writer = base .. 'writer:' .. ARGV[1]
local state = call('GET', writer)
-- Another state: this group was applied before, or one before it was not, or the writer has begun anew.
if state ~= ARGV[2] then return state end
-- Redis refuses the first write of a script when it is out of memory, and none behind it. So a group that
-- adds something fails here or not at all, and one that only removes begins with a write that takes no
-- memory.
if ARGV[5] == '1' then call('UNLINK', base .. 'nothing') end
call('SET', writer, ARGV[3], 'EX', ARGV[4])

local SESSION, SESSIONS = base .. 'session', base .. 'sessions'
local SUBSCRIPTIONS, QUEUE, INCOMING = base .. 'subscriptions:', base .. 'queue:', base .. 'incoming:'
local MESSAGE, SHARES, BYTES = base .. 'message', base .. 'shares', base .. 'bytes'
local RETAINED, TOPICS = base .. 'retained', base .. 'topics'
local WILL, WILLS = base .. 'will', base .. 'wills:'
local EXPIRING, EXPIRING_RETAINED = base .. 'expiring', base .. 'expiring-retained'
local TRASH, TRASHED = base .. 'trash', base .. 'trashed'
local SMALL = 64

local at = 5
local function take()
  at = at + 1
  return args[at]
end

-- Whether the first of two numbers of eight bytes is the greater one.
local function greater(one, other)
  local a, b = struct.unpack('>I4I4', one)
  local c, d = struct.unpack('>I4I4', other)
  return a > c or (a == c and b > d)
end

-- Incarnations of the sessions that this group has asked for; false where there is none.
local known = {}
local function incarnation(client)
  local found = known[client]
  if found == nil then
    local record = call('HGET', SESSION, client)
    found = record and string.sub(record, 1, 8)
    known[client] = found
  end
  return found
end

-- Messages that this group brings, how many entries it has put that refer to them, and how many
-- entries that refer to earlier ones it has removed.
local brought, added, removed = {}, {}, {}
-- By how many bytes queues have grown.
local grown = {}
-- No number in these queues is greater.
local greatest = {}

-- What an entry that goes leaves behind. Its bytes: eight of the number, one of the form, one of the
-- stage, two of the packet identifier, four of the message's size; then sixteen of its name, if it has one.
local function forget(client, entry)
  local form = string.byte(entry, 9)
  if form ~= 5 then grown[client] = (grown[client] or 0) - struct.unpack('>I4', entry, 13) end
  if form == 2 or form == 4 then
    local id = string.sub(entry, 17, 32)
    if added[id] then
      added[id] = added[id] - 1
    else
      removed[id] = (removed[id] or 0) + 1
    end
  end
  if form == 3 or form == 4 then
    call('ZREM', EXPIRING, string.sub(entry, 1, 8) .. client)
  end
end

local function find(queue, number)
  return call('ZRANGEBYLEX', queue, '[' .. number, '(' .. number .. '\255', 'LIMIT', '0', '1')[1]
end

local function unqueue(client, number)
  local queue = QUEUE .. client
  local entry = find(queue, number)
  if entry then
    call('ZREMRANGEBYLEX', queue, '[' .. number, '(' .. number .. '\255')
    forget(client, entry)
  end
end

local function enqueue(client, number, rest, expires)
  local queue, most = QUEUE .. client, greatest[client]
  -- In nearly all cases it is the last of its queue, and one look is enough for a whole group.
  if most and greater(number, most) or not most and call('ZLEXCOUNT', queue, '[' .. number, '+') == 0 then
    greatest[client] = number
  else
    unqueue(client, number)
  end
  call('ZADD', queue, '0', number .. rest)
  local form = string.byte(rest, 1)
  if form == 2 or form == 4 then
    local id = string.sub(rest, 9, 24)
    added[id] = added[id] + 1
  end
  grown[client] = (grown[client] or 0) + struct.unpack('>I4', rest, 5)
  if expires ~= '' then call('ZADD', EXPIRING, expires, number .. client) end
end

-- `inflight` is a byte of the stage and two of the packet identifier.
local function mark(client, number, inflight)
  local queue = QUEUE .. client
  local entry = find(queue, number)
  if not entry then return end
  local form, rest = string.byte(entry, 9), string.sub(entry, 13)
  if string.byte(inflight, 1) == 2 and form ~= 5 then
    -- Released: the message is no longer needed, what is known of the delivery is.
    forget(client, entry)
    -- Size and record stay, the name in between and the message behind go.
    local first = (form == 2 or form == 4) and 21 or 5
    rest = string.sub(rest, 1, 4) .. string.sub(rest, first, first + 3 + struct.unpack('>I4', rest, first))
    form = 5
  elseif form == 3 or form == 4 then
    -- What the client may have got already does not expire any more.
    call('ZREM', EXPIRING, number .. client)
    form = form - 2
  end
  local changed = number .. string.char(form) .. inflight .. rest
  if changed ~= entry then
    call('ZREMRANGEBYLEX', queue, '[' .. number, '(' .. number .. '\255')
    call('ZADD', queue, '0', changed)
  end
end

local function drop_will(client, will)
  local length = struct.unpack('>I2', will, 9)
  call('ZREM', WILLS .. string.sub(will, 11, 10 + length), client)
  call('HDEL', WILL, client)
end

local function drop_session(client, number)
  call('HDEL', SESSION, client)
  call('HDEL', BYTES, client)
  call('ZREM', SESSIONS, client)
  call('UNLINK', SUBSCRIPTIONS .. client, INCOMING .. client)
  local will = call('HGET', WILL, client)
  if will and string.sub(will, 1, 8) == number then drop_will(client, will) end
  local queue = QUEUE .. client
  local count = call('ZCARD', queue)
  if count > SMALL then
    -- A long queue is put aside in no time and taken apart later, step by step.
    local name = tostring(call('INCR', TRASHED))
    call('RENAME', queue, TRASH .. ':' .. name)
    call('SADD', TRASH, name)
  elseif count > 0 then
    for _, entry in ipairs(call('ZRANGE', queue, 0, -1)) do forget(client, entry) end
    call('UNLINK', queue)
  end
  grown[client] = nil
  greatest[client] = nil
  known[client] = false
end

local function put_session(client, number, record)
  local found = incarnation(client)
  if found and found ~= number then
    if greater(found, number) then return end
    drop_session(client, found)
    found = false
  end
  call('HSET', SESSION, client, number .. record)
  if not found then call('ZADD', SESSIONS, '0', client) end
  known[client] = number
end

local function put_will(client, number, node, record)
  local will = call('HGET', WILL, client)
  if will then
    if greater(string.sub(will, 1, 8), number) then return end
    drop_will(client, will)
  end
  call('HSET', WILL, client, number .. struct.pack('>I2', #node) .. node .. record)
  call('ZADD', WILLS .. node, '0', client)
end

local function put_retained(topic, record, expires)
  if call('HSET', RETAINED, topic, record) == 1 then call('ZADD', TOPICS, '0', topic) end
  if expires ~= '' then
    call('ZADD', EXPIRING_RETAINED, expires, topic)
  else
    call('ZREM', EXPIRING_RETAINED, topic)
  end
end

local function drop_retained(topic)
  if call('HDEL', RETAINED, topic) == 1 then
    call('ZREM', TOPICS, topic)
    call('ZREM', EXPIRING_RETAINED, topic)
  end
end

-- What needs the session to be there in its incarnation, by the letter of the operation.
local within = {
  E = function(client) enqueue(client, take(), take(), take()) end,
  Q = function(client) unqueue(client, take()) end,
  M = function(client) mark(client, take(), take()) end,
  D = function(client, number) drop_session(client, number) end,
  S = function(client)
    local filter, record = take(), take()
    local key = SUBSCRIPTIONS .. client
    call('ZREMRANGEBYLEX', key, '[' .. filter .. '\0', '(' .. filter .. '\1')
    call('ZADD', key, '0', filter .. '\0' .. record)
  end,
  U = function(client)
    local filter = take()
    call('ZREMRANGEBYLEX', SUBSCRIPTIONS .. client, '[' .. filter .. '\0', '(' .. filter .. '\1')
  end,
  I = function(client) call('SADD', INCOMING .. client, take()) end,
  J = function(client) call('SREM', INCOMING .. client, take()) end,
}
-- Operands of those, to be passed over where the session is not there.
local operands = { E = 3, Q = 1, M = 2, D = 0, S = 2, U = 1, I = 1, J = 1 }
local others = {
  B = function()
    local id = take()
    brought[id], added[id] = take(), 0
  end,
  P = function() put_session(take(), take(), take()) end,
  W = function() put_will(take(), take(), take(), take()) end,
  X = function()
    local client, number = take(), take()
    local will = call('HGET', WILL, client)
    if will and string.sub(will, 1, 8) == number then drop_will(client, will) end
  end,
  R = function() put_retained(take(), take(), take()) end,
  T = function() drop_retained(take()) end,
}

local last = #args
while at < last do
  local letter = take()
  local count = operands[letter]
  if count then
    local client, number = take(), take()
    if incarnation(client) == number then
      within[letter](client, number)
    else
      at = at + count
    end
  else
    others[letter]()
  end
end

for id, count in pairs(added) do
  if count > 0 then
    call('HSET', MESSAGE, id, brought[id])
    if count > 1 then call('HSET', SHARES, id, count) end
  end
end
for id, count in pairs(removed) do
  local left = (tonumber(call('HGET', SHARES, id)) or 1) - count
  if left > 1 then
    call('HSET', SHARES, id, left)
  else
    call('HDEL', SHARES, id)
    if left < 1 then call('HDEL', MESSAGE, id) end
  end
end
-- The sizes of many queues in a few commands: one for each would take longer than all else together.
local MANY = 1000
local names, count = {}, 0
local function resize()
  local found, sizes, last, empty = call('HMGET', BYTES, unpack(names, 1, count)), {}, 0, {}
  for place = 1, count do
    local client = names[place]
    local size = (tonumber(found[place]) or 0) + grown[client]
    if size == 0 then
      empty[#empty + 1] = client
    else
      sizes[last + 1], sizes[last + 2], last = client, string.format('%.0f', size), last + 2
    end
  end
  if last > 0 then call('HSET', BYTES, unpack(sizes, 1, last)) end
  if #empty > 0 then call('HDEL', BYTES, unpack(empty)) end
  count = 0
end
for client, bytes in pairs(grown) do
  if bytes ~= 0 then
    count = count + 1
    names[count] = client
    if count == MANY then resize() end
  end
end
if count > 0 then resize() end
return { ok = 'OK' }
