-- Lets entries that this worker has read wait for their turn. Begins with turns.lua.
-- KEYS[1] ready, KEYS[2] turns, KEYS[3] stream; ARGV[1] "d" or "w", the stream's letter, then for each flow: its name,
-- what a turn of it costs, how many entries, and their ids (at most 1000 in all).
-- Returns how many became ready. Not to be repeated: an entry that a worker has taken meanwhile would be taken again.
local flows, at = {}, 2
while at <= #ARGV do
    local count = tonumber(ARGV[at + 2])
    local ids = {}
    for i = at + 3, at + 2 + count do ids[#ids + 1] = ARGV[i] end
    flows[#flows + 1] = {name = ARGV[at], cost = tonumber(ARGV[at + 1]), ids = ids}
    at = at + 3 + count
end
return offer(KEYS[1], KEYS[2], KEYS[3], ARGV[1], flows)
