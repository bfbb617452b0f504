-- Deletes counts of a shard for whoever is forgetting them.
-- KEYS[1] the shard's position, KEYS[2] … what is to be deleted; ARGV[1] what the position is as long as it is this one.
-- Returns 1, or 0 when somebody else has begun to forget, or has ended: then nothing is deleted.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
for i = 2, #KEYS do redis.call('UNLINK', KEYS[i]) end
return 1
