-- Notes changes of one hash of counts.
-- KEYS[1] the hash; ARGV[1] seconds after which it expires, ARGV[2] the most fields to which a new one is set, then '+', '=' or
-- '-', field, value, …
local isFull = redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[2])
for i = 3, #ARGV, 3 do
    local kind = ARGV[i]
    if kind == '+' then
        redis.pcall('HINCRBY', KEYS[1], ARGV[i + 1], ARGV[i + 2])
    elseif kind == '-' then
        redis.call('HDEL', KEYS[1], ARGV[i + 1])
    elseif not isFull or redis.call('HEXISTS', KEYS[1], ARGV[i + 1]) == 1 then
        redis.call('HSET', KEYS[1], ARGV[i + 1], ARGV[i + 2])
    end
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
