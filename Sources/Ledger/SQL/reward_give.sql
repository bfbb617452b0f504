-- Gives rewards: puts revisions on record, from where they go into the streams, and notes windows as done with.
-- In:  $1 decision, $2 revision, $3 shard, $4 state, $5 reward, $6 digest, $7 body (arrays);
--      $8 decisions that have ended, $9 when their windows close, or null for those whose final reward is given (arrays); $10 decisions that are to be looked at again.
-- Out: nothing. Fails when a revision is there already: somebody else looked at this decision at the same moment.
WITH given AS (
    INSERT INTO rewards (decision, revision, shard, place, state, reward, digest, body)
    SELECT g.decision, g.revision, g.shard, g.place, g.state, g.reward, g.digest, g.body
    FROM unnest($1::text[], $2::int4[], $3::int4[], $4::text[], $5::float8[], $6::bytea[], $7::bytea[])
        WITH ORDINALITY AS g(decision, revision, shard, state, reward, digest, body, place)
), tallied AS (
    INSERT INTO tallies (slot, state, n)
    SELECT pg_backend_pid() % 64, 'reward.' || state, count(*) FROM unnest($4::text[]) AS g(state) GROUP BY state
    ON CONFLICT (slot, state) DO UPDATE SET n = tallies.n + excluded.n
), again AS (
    INSERT INTO reward_due (decision, at)
    SELECT decision, now() + interval '10 seconds' FROM unnest($10::text[]) AS g(decision) ORDER BY decision
    ON CONFLICT (decision) DO NOTHING
)
UPDATE settlements s SET closes_at = e.closes_at
FROM unnest($8::text[], $9::timestamptz[]) AS e(id, closes_at)
WHERE s.id = e.id AND s.closes_at IS DISTINCT FROM e.closes_at
  -- To the millisecond it may be the same.
  AND (e.closes_at IS NULL OR s.closes_at IS NULL OR s.closes_at <= now())
