-- Begins a connection of a writer, after which nothing that it has sent on an earlier one takes effect
-- any more. Returns the number of the connection and that of the last group that was applied. Creates
-- the store if there is none; if what is there is of another format, changes nothing and says what it is.
local base, call = KEYS[1], redis.call
local format = call('TYPE', base .. 'format').ok
if format == 'string' then
  format = call('GET', base .. 'format')
elseif format == 'none' then
  for _, name in ipairs({'session', 'sessions', 'message', 'retained', 'topics', 'will', 'trash'}) do
    if call('EXISTS', base .. name) == 1 then return { 'keys without a format, among them ' .. base .. name } end
  end
  call('SET', base .. 'format', ARGV[2])
  format = ARGV[2]
else
  return { 'a ' .. format .. ' named ' .. base .. 'format' }
end
if format ~= ARGV[2] then return { 'the format ' .. string.format('%q', format) } end

-- Also when Redis is out of memory.
call('UNLINK', base .. 'nothing')
local writer = base .. 'writer:' .. ARGV[1]
local connection, group = string.match(call('GET', writer) or '0.0', '^(%d+)%.(%d+)$')
connection = string.format('%d', connection + 1)
call('SET', writer, connection .. '.' .. group, 'EX', ARGV[3])
return { connection, group }
