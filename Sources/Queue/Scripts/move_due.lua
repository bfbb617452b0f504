-- Moves deliveries that are due from the schedule to the work stream.
-- KEYS[1] schedule, KEYS[2] work stream; ARGV[1] the most to move (at most 1000).
-- A member is a delivery's id, its priority and its campaign, with spaces between them; only the last one may hold more.
-- Returns how late each one is, in ms. The server's clock decides.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[1], 'WITHSCORES')
local late, members = {}, {}
for i = 1, #due, 2 do
    local id, priority, campaign = string.match(due[i], '^(%S+) (%d) (.*)$')
    if id then
        redis.call('XADD', KEYS[2], '*', 'id', id, 'priority', priority, 'campaign', campaign)
    else
        redis.call('XADD', KEYS[2], '*', 'id', due[i])
    end
    members[#members + 1] = due[i]
    late[#late + 1] = now - tonumber(due[i + 1])
end
if #members > 0 then redis.call('ZREM', KEYS[1], unpack(members)) end
return late
