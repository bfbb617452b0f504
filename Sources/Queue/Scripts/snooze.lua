-- Puts deliveries into the schedule and takes their entries out of the stream, in one step.
-- KEYS[1] stream, KEYS[2] schedule; ARGV triples: entry id, the member as in move_due.lua, due in ms since the epoch.
-- Returns the number of triples. Repeating is safe.
for i = 1, #ARGV, 3 do
    redis.call('ZADD', KEYS[2], ARGV[i + 2], ARGV[i + 1])
    redis.call('XACK', KEYS[1], 'martlet', ARGV[i])
    redis.call('XDEL', KEYS[1], ARGV[i])
end
return #ARGV / 3
