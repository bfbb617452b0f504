-- Moves deliveries that are due from the schedule to the work stream, the oldest first.
-- KEYS[1] schedule, KEYS[2] work stream, KEYS[3] bundles, KEYS[4] how many deliveries they hold; ARGV[1] the most to move
-- (at most 1000; a bundle goes as a whole, and may go beyond that).
-- A member of the schedule is a delivery's id, its priority and its campaign, with spaces between them; only the last one
-- may hold more. A bundle is as in bundle.lua.
-- Returns how late each one is, in ms. The server's clock decides.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local most = tonumber(ARGV[1])
local singles = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, most, 'WITHSCORES')
local late, members, gone, unbundled = {}, {}, {}, 0

local function move(id, priority, campaign)
    redis.call('XADD', KEYS[2], '*', 'id', id, 'priority', priority, 'campaign', campaign)
end

-- Bundles are long: a few at a time, as long as there is room.
local bundles, seen, isLast = {}, 0, false
local single, bundle = 1, 1
while #late < most do
    if bundle > #bundles and not isLast then
        bundles = redis.call('ZRANGE', KEYS[3], '-inf', now, 'BYSCORE', 'LIMIT', seen, 8, 'WITHSCORES')
        seen, isLast, bundle = seen + 8, #bundles < 16, 1
    end
    local due, bundleDue = tonumber(singles[single + 1]), tonumber(bundles[bundle + 1])
    if bundleDue and not (due and due < bundleDue) then
        local ids, priority, campaign = string.match(bundles[bundle], '^([^\n]*)\n(%d) (.*)$')
        for id in string.gmatch(ids or '', '%S+') do
            move(id, priority, campaign)
            late[#late + 1] = now - bundleDue
            unbundled = unbundled + 1
        end
        gone[#gone + 1] = bundles[bundle]
        bundle = bundle + 2
    elseif due then
        local id, priority, campaign = string.match(singles[single], '^(%S+) (%d) (.*)$')
        if id then
            move(id, priority, campaign)
        else
            redis.call('XADD', KEYS[2], '*', 'id', singles[single])
        end
        members[#members + 1] = singles[single]
        late[#late + 1] = now - due
        single = single + 2
    else
        break
    end
end
if #members > 0 then redis.call('ZREM', KEYS[1], unpack(members)) end
if #gone > 0 then
    redis.call('ZREM', KEYS[3], unpack(gone))
    redis.call('DECRBY', KEYS[4], unbundled)
end
return late
