-- Takes tokens of a number that is not refilled.
-- KEYS[1] how many were taken; ARGV[1] how many there are, ARGV[2] how many are wanted, ARGV[3] milliseconds until they
-- are forgotten. Returns how many were given. What is repeated takes others.
local taken = tonumber(redis.call('GET', KEYS[1]) or 0)
local given = math.max(0, math.min(tonumber(ARGV[2]), tonumber(ARGV[1]) - taken))
if given > 0 then redis.call('SET', KEYS[1], taken + given, 'PX', ARGV[3]) end
return given
