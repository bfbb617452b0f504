-- Cancels what has not been sent.
-- In:  $1 id, $2 reason.
-- Out: one row: 'cancelled', 'too_late' (an attempt is on the wire), 'finished', or 'missing'; and the state if settled.
WITH gone AS (
    DELETE FROM unsettled WHERE id = $1::text AND open_number IS NULL
    RETURNING id, epoch, step, attempts, arm, propensity, policy, seed, window_ms,
              CASE WHEN has_sent THEN 'sent' ELSE 'cancelled' END AS state
), ended AS (
    INSERT INTO settlements (id, epoch, state, reason, step, attempts, arm, propensity, policy, seed, settled_at,
                             closes_at)
    -- A new epoch: whoever still holds the delivery must not take this settlement for its own.
    SELECT id, epoch + 1, state, $2::text, step, attempts, arm, propensity, policy, seed, now(),
           window_end(state, $2::text, now(), window_ms) FROM gone
), counted AS (
    INSERT INTO tallies (slot, state, n) SELECT pg_backend_pid() % 64, state, 1 FROM gone
    ON CONFLICT (slot, state) DO UPDATE SET n = tallies.n + excluded.n
)
SELECT CASE WHEN EXISTS (SELECT 1 FROM gone) THEN 'cancelled'
            WHEN s.id IS NOT NULL THEN 'finished'
            WHEN u.id IS NOT NULL THEN 'too_late'
            WHEN d.id IS NOT NULL THEN 'too_late'
            ELSE 'missing' END,
       coalesce((SELECT state FROM gone), s.state)
FROM (SELECT $1::text AS id) i
LEFT JOIN decisions d USING (id) LEFT JOIN settlements s USING (id) LEFT JOIN unsettled u USING (id)
