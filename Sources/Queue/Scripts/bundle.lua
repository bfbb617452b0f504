-- Puts bundles of deliveries into the schedule.
-- KEYS[1] bundles, KEYS[2] how many deliveries they hold; ARGV triples: due in ms since the epoch, how many deliveries, and
-- the bundle: their ids with spaces between them, a line's end, their priority, a space, and their campaign.
-- Returns how many deliveries came in. Repeating is safe.
local added = 0
for i = 1, #ARGV, 3 do
    if redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i + 2]) == 1 then added = added + ARGV[i + 1] end
end
if added > 0 then redis.call('INCRBY', KEYS[2], added) end
return added
