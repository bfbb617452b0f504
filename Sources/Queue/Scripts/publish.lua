-- Appends rewards to a shard's stream under ids that are theirs, so that appending twice appends once.
-- KEYS[1] stream; ARGV[1] the id that the stream should hold last, or '' where that is not known, ARGV[2] the most
-- entries kept, then id, reward, …
-- Returns '' or, when the stream holds less than it should (it was lost, or its end was), the last id it holds; then
-- nothing is appended.
local function parts(id)
    local left, right = string.match(id, '^(%d+)-(%d+)$')
    return left, right
end
-- Ids can be too large for Lua's numbers: longer is larger, and of the same length the text decides.
local function less(a, b)
    if #a ~= #b then return #a < #b end
    return a < b
end
local function before(a, b)
    local al, ar = parts(a)
    local bl, br = parts(b)
    if al ~= bl then return less(al, bl) end
    return less(ar, br)
end
local last = '0-0'
if redis.call('EXISTS', KEYS[1]) == 1 then
    local info = redis.call('XINFO', 'STREAM', KEYS[1])
    for i = 1, #info, 2 do
        if info[i] == 'last-generated-id' then last = info[i + 1] end
    end
end
if ARGV[1] ~= '' and before(last, ARGV[1]) then return last end
for i = 3, #ARGV, 2 do
    if before(last, ARGV[i]) then
        redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], ARGV[i], 'reward', ARGV[i + 1])
        last = ARGV[i]
    end
end
return ''
