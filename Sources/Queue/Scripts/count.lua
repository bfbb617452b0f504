-- Applies changes to counts, and notes up to which reward they are counted, in one step: each reward counts once.
-- KEYS[1] the shard's position, KEYS[2] … the hashes.
-- ARGV[1] the position that is expected ('' for none), ARGV[2] the new one, ARGV[3] seconds after which a person's hash
-- expires, ARGV[4] the same of the others, ARGV[5] how many of the first hashes are persons', ARGV[6] the most fields of a
-- person's hash to which a new one is set, then: index of the hash, '+', '=' or '-', field, value, …
-- Returns the position that holds now; when it is not ARGV[2], nothing was changed.
local position = redis.call('GET', KEYS[1]) or ''
if position ~= ARGV[1] then return position end
for i = 7, #ARGV, 4 do
    local key = KEYS[tonumber(ARGV[i]) + 1]
    local kind = ARGV[i + 1]
    if kind == '+' then
        -- A sum that no longer fits stays as it is: one person's endless events must not stop the counting.
        redis.pcall('HINCRBY', key, ARGV[i + 2], ARGV[i + 3])
    elseif kind == '-' then
        redis.call('HDEL', key, ARGV[i + 2])
    elseif redis.call('HLEN', key) < tonumber(ARGV[6]) then
        redis.call('HSET', key, ARGV[i + 2], ARGV[i + 3])
    end
end
for i = 2, #KEYS do
    redis.call('EXPIRE', KEYS[i], i - 1 <= tonumber(ARGV[5]) and ARGV[3] or ARGV[4])
end
redis.call('SET', KEYS[1], ARGV[2])
return ARGV[2]
