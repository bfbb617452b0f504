-- Takes entries that are done with out of a stream.
-- KEYS[1] stream; ARGV entry ids. Returns how many were acknowledged. Repeating is safe.
local acknowledged = redis.call('XACK', KEYS[1], 'martlet', unpack(ARGV))
redis.call('XDEL', KEYS[1], unpack(ARGV))
return acknowledged
