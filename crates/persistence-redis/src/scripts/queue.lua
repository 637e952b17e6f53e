-- How much is in a queue: KEYS[1] is what all keys begin with; then follows the client. Returns the
-- number of entries, the bytes of their messages, and the last entry's number of eight bytes.
local base, call = KEYS[1], redis.call
local queue = base .. 'queue:' .. ARGV[1]
local last = call('ZREVRANGE', queue, 0, 0)[1]
return { call('ZCARD', queue), call('HGET', base .. 'bytes', ARGV[1]) or '0', last and string.sub(last, 1, 8) or false }
