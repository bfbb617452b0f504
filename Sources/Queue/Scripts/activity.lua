-- Counts what a person did and takes the entry out of its stream, in one step.
-- KEYS[1] stream, KEYS[2] the person's counts; ARGV[1] entry id, ARGV[2] seconds after which counts expire, then field,
-- amount, …
-- Returns 1, or 0 when the entry was no longer pending: it was counted before.
if redis.call('XACK', KEYS[1], 'martlet', ARGV[1]) == 0 then return 0 end
for i = 3, #ARGV, 2 do redis.pcall('HINCRBY', KEYS[2], ARGV[i], ARGV[i + 1]) end
redis.call('EXPIRE', KEYS[2], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
