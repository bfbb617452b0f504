-- Takes tokens of a rate: the generic cell rate algorithm (ITU-T I.371) over the clock of Redis.
-- KEYS[1] the theoretical arrival time of the next message, in microseconds; ARGV[1] microseconds between two messages,
-- ARGV[2] how many at once after a pause, ARGV[3] how many are wanted.
-- Returns how many were given, and the milliseconds until there is one more. What is repeated takes others.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local gap, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
-- A clock that was set back must not stop everything: no arrival is further away than a whole burst.
local arrival = math.min(tonumber(redis.call('GET', KEYS[1]) or 0), now + burst * gap)
arrival = math.max(arrival, now)
local given = math.max(0, math.min(wanted, math.floor((now + burst * gap - arrival) / gap + 0.000001)))
if given > 0 then
    arrival = arrival + given * gap
    redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000) + 1000)
end
return {given, math.max(0, math.ceil((arrival - now - (burst - 1) * gap) / 1000))}
