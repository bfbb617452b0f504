-- Lets entries that were read wait for their turn instead: they stay in the stream, no longer pending.
-- The beginning of the scripts that do so. `flows` has for each flow its name, what a turn of it costs, and the ids of
-- its entries (at most 1000 in all). Returns how many became ready.
local function offer(ready, turns, stream, letter, flows)
    local now = tonumber(redis.call('HGET', turns, 'now') or 0)
    local members, ids, last = {}, {}, {}
    for _, flow in ipairs(flows) do
        -- A flow goes on where it was; one that stayed away begins now.
        local turn = math.max(now, tonumber(redis.call('HGET', turns, flow.name) or 0))
        for _, id in ipairs(flow.ids) do
            turn = turn + flow.cost
            members[#members + 1] = turn
            members[#members + 1] = letter .. id
            ids[#ids + 1] = id
        end
        last[#last + 1] = flow.name
        last[#last + 1] = turn
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
end
