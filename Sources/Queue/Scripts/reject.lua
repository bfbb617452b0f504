-- Sets an entry aside with the reasons and takes it out of its stream, in one step.
-- KEYS[1] stream, KEYS[2] rejects; ARGV[1] entry id, ARGV[2] the most rejects kept, then field, value, …
-- Returns 1, or 0 when the entry was no longer pending (then nothing is written: it was rejected before).
if redis.call('XACK', KEYS[1], 'martlet', ARGV[1]) == 0 then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', unpack(ARGV, 3))
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
