-- Reads ahead in a shard: what was appended waits for its turn; no text crosses the wire. Begins with turns.lua.
-- KEYS[1] ready, KEYS[2] turns, KEYS[3] decisions, KEYS[4] work; ARGV[1] consumer, ARGV[2] the most entries of each
-- stream (at most 1000), ARGV[3] the middle lane, then what a turn costs in each lane.
-- Returns how many of decisions and of work became ready. Repeating reads on.
local lanes = #ARGV - 3

-- As DeliveryModel/Flow.swift has it. What is no JSON, or says nothing usable, is of the middle lane and no campaign.
local function flow_of(entry)
    local lane, campaign
    for i = 1, #entry, 2 do
        local name, value = entry[i], entry[i + 1]
        if name == 'decision' then
            local fine, text = pcall(cjson.decode, value)
            if fine and type(text) == 'table' then lane, campaign = text.priority, text.campaign end
        elseif name == 'priority' then
            lane = tonumber(value)
        elseif name == 'campaign' then
            campaign = value
        end
    end
    if type(lane) ~= 'number' or lane < 0 or lane >= lanes or lane ~= math.floor(lane) then lane = tonumber(ARGV[3]) end
    if type(campaign) ~= 'string' or #campaign > 254 then campaign = '' end
    return lane, campaign
end

-- Redis that is full refuses this first, so that nothing is read that cannot be put anywhere.
redis.call('HINCRBY', KEYS[2], 'd', 0)
local read = redis.pcall(
    'XREADGROUP', 'GROUP', 'martlet', ARGV[1], 'COUNT', ARGV[2], 'STREAMS', KEYS[3], KEYS[4], '>', '>') or {}
local added = {0, 0}
for _, stream in ipairs(read) do
    local flows, known = {}, {}
    for _, entry in ipairs(stream[2]) do
        local lane, campaign = flow_of(entry[2])
        local name = string.format('%d:%s', lane, campaign)
        local flow = known[name]
        if not flow then
            flow = {name = name, cost = tonumber(ARGV[4 + lane]), ids = {}}
            known[name] = flow
            flows[#flows + 1] = flow
        end
        flow.ids[#flow.ids + 1] = entry[1]
    end
    local isWork = stream[1] == KEYS[4]
    added[isWork and 2 or 1] = offer(KEYS[1], KEYS[2], stream[1], isWork and 'w' or 'd', flows)
end
-- Where nothing waits there are no turns either.
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('DEL', KEYS[2]) end
if read.err then return read end
return added
