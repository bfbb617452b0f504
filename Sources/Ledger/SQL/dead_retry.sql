-- Takes deliveries up again that were set aside: their end is undone, and they are owed once more, due now.
-- In:  $1 ids.
-- Out: the ids that were taken up. The others are no dead letters, or not any more: repeating is safe.
WITH chosen AS (
    -- In one order, so that two of these never wait for each other. Who comes second finds them gone.
    SELECT decision FROM dead_letters WHERE decision = ANY($1::text[]) ORDER BY decision FOR UPDATE
), undone AS (
    DELETE FROM settlements s USING chosen c WHERE s.id = c.decision
    RETURNING s.id, s.epoch, s.state, s.step, s.attempts
), letters AS (
    DELETE FROM dead_letters l USING undone u WHERE l.decision = u.id
    RETURNING l.decision, l.reason, l.supersedes, l.rank, l.priority, l.window_ms
), work AS (
    -- It goes on at the step where it failed, with attempts of its own there; their numbers go on over all steps.
    -- Nothing of it was sent, or it would not have failed. A new epoch: whoever held it last closes nothing any more.
    INSERT INTO unsettled (id, shard, epoch, due_at, look_at, step, attempts, has_sent, supersedes, rank,
                           priority, window_ms)
    SELECT u.id, d.shard, u.epoch + 1, now(), now(), u.step, u.attempts, false, l.supersedes, l.rank,
           l.priority, l.window_ms
    FROM undone u JOIN letters l ON l.decision = u.id JOIN decisions d ON d.id = u.id
), counted AS (
    INSERT INTO tallies (slot, state, n)
    SELECT pg_backend_pid() % 64, state, -count(*) FROM undone GROUP BY state
    ON CONFLICT (slot, state) DO UPDATE SET n = tallies.n + excluded.n
), told AS (
    INSERT INTO events (decision, at, kind, detail)
    SELECT u.id, now(), 'retried', jsonb_build_object('reason', l.reason, 'step', u.step)
    FROM undone u JOIN letters l ON l.decision = u.id
)
SELECT decision FROM letters
