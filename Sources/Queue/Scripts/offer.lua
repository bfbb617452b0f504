-- Lets entries that were read wait for their turn instead: they stay in the stream, no longer pending.
-- KEYS[1] ready, KEYS[2] turns, KEYS[3] stream; ARGV[1] "d" or "w", the stream's letter, then for each flow: its name,
-- what a turn of it costs, how many entries, and their ids (at most 1000 in all).
-- Returns how many became ready. Not to be repeated: an entry that a worker has taken meanwhile would be taken again.
local ready, turns, stream, letter = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
local now = tonumber(redis.call('HGET', turns, 'now') or 0)
local members, ids, last = {}, {}, {}
local at = 2
while at <= #ARGV do
    local flow, cost, count = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    -- A flow goes on where it was; one that stayed away begins now.
    local turn = math.max(now, tonumber(redis.call('HGET', turns, flow) or 0))
    for i = at + 3, at + 2 + count do
        turn = turn + cost
        members[#members + 1] = turn
        members[#members + 1] = letter .. ARGV[i]
        ids[#ids + 1] = ARGV[i]
    end
    last[#last + 1] = flow
    last[#last + 1] = turn
    at = at + 3 + count
end
local added = redis.call('ZADD', ready, unpack(members))
redis.call('HSET', turns, unpack(last))
redis.call('HINCRBY', turns, letter, added)
redis.call('XACK', stream, 'martlet', unpack(ids))

-- Flows whose turns have passed begin now, as unknown ones do: they are forgotten once they are the most.
local known = redis.call('HLEN', turns)
if known > 2 * tonumber(redis.call('HGET', turns, 'kept') or 0) + 256 then
    local all, past = redis.call('HGETALL', turns), {}
    for i = 1, #all, 2 do
        if string.find(all[i], ':', 1, true) and tonumber(all[i + 1]) <= now then past[#past + 1] = all[i] end
    end
    for i = 1, #past, 1000 do redis.call('HDEL', turns, unpack(past, i, math.min(i + 999, #past))) end
    redis.call('HSET', turns, 'kept', known - #past)
end
return added
