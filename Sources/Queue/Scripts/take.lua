-- Gives a worker the entries whose turn it is; they are pending again, as if it had read them from the stream now.
-- KEYS[1] ready, KEYS[2] turns, KEYS[3] decisions, KEYS[4] work; ARGV[1] consumer, ARGV[2] the most entries (at most 1000).
-- Returns how many are still ready, the entries of decisions, and those of work. Entries that are in the stream no more
-- are left out. Repeating takes others.
local popped = redis.call('ZPOPMIN', KEYS[1], ARGV[2])
local taken = {d = {}, w = {}}
for i = 1, #popped, 2 do
    local list = taken[string.sub(popped[i], 1, 1)]
    list[#list + 1] = string.sub(popped[i], 2)
end

local function claim(stream, ids)
    if #ids == 0 then return {} end
    -- Its first worker, however often it was offered: counting begins here, and taking over goes on with it.
    ids[#ids + 1] = 'FORCE'
    ids[#ids + 1] = 'RETRYCOUNT'
    ids[#ids + 1] = 1
    local entries = redis.pcall('XCLAIM', stream, 'martlet', ARGV[1], 0, unpack(ids))
    -- A stream that is gone has taken its entries with it; those of the other one must not be lost for that.
    if entries.err then return {} end
    return entries
end

local left = redis.call('ZCARD', KEYS[1])
if left == 0 then
    -- Nobody waits: all begin anew.
    redis.call('DEL', KEYS[2])
elseif #popped > 0 then
    -- Subtracted from 0: -#taken.w may be Lua's "-0", which is no integer to Redis.
    redis.call('HINCRBY', KEYS[2], 'd', 0 - #taken.d)
    redis.call('HINCRBY', KEYS[2], 'w', 0 - #taken.w)
    redis.call('HSET', KEYS[2], 'now', popped[#popped])
end
return {left, claim(KEYS[3], taken.d), claim(KEYS[4], taken.w)}
