-- Notes what a person did, once for each key, and ends the deliveries that rest for exactly that.
-- In:  $1 key, $2 decision or null, $3 user where there is no decision: then it is the newest decision of theirs that
--      waits for such an event; $4 kind, $5 time or null for now, $6 detail as JSON (arrays, keys unique).
-- Out: one row for each key: 'noted', 'ended' (noted, and the delivery ended by it), 'known' (noted before) or
--      'missing' (there is no such decision); and the decision. Repeating is safe.
WITH given AS (
    SELECT g.*, e.decision AS known
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[])
        AS g(key, decision, user_id, kind, at, detail)
    LEFT JOIN events e ON e.key = g.key
), input AS (
    SELECT g.key, g.kind, coalesce(g.at, now()) AS at, g.detail::jsonb AS detail, coalesce(d.id, w.id) AS decision
    FROM given g
    LEFT JOIN decisions d ON d.id = g.decision
    LEFT JOIN LATERAL (
        SELECT u.id FROM unsettled u JOIN decisions n ON n.id = u.id
        WHERE g.decision IS NULL AND u.waits_user = g.user_id AND u.waits_for = g.kind
        ORDER BY n.accepted_at DESC, n.id DESC LIMIT 1
    ) w ON true
    WHERE g.known IS NULL
), held AS (
    -- Locked first: what is read here stays so until the commit.
    SELECT u.id, u.waits_for, u.open_number FROM unsettled u
    WHERE u.id = ANY(ARRAY(SELECT decision FROM input WHERE decision IS NOT NULL)) ORDER BY u.id FOR UPDATE
), fresh AS (
    INSERT INTO events (decision, at, kind, detail, key)
    SELECT i.decision, i.at, i.kind,
           CASE WHEN h.open_number IS NULL THEN i.detail ELSE i.detail || '{"too_late": true}' END, i.key
    FROM input i LEFT JOIN held h ON h.id = i.decision AND h.waits_for = i.kind
    WHERE i.decision IS NOT NULL
    ON CONFLICT (key) WHERE key IS NOT NULL DO NOTHING
    RETURNING decision, kind, key
), gone AS (
    DELETE FROM unsettled u USING held h JOIN fresh f ON f.decision = h.id AND f.kind = h.waits_for
    WHERE u.id = h.id AND h.open_number IS NULL
    RETURNING u.id, u.epoch, u.step, u.attempts, u.arm, u.propensity, u.policy, u.seed, h.waits_for
), ended AS (
    INSERT INTO settlements (id, epoch, state, reason, step, attempts, arm, propensity, policy, seed, settled_at)
    -- A new epoch: whoever still holds the delivery must not take this settlement for its own.
    SELECT id, epoch + 1, 'sent', 'goal.reached', step, attempts, arm, propensity, policy, seed, now() FROM gone
), counted AS (
    INSERT INTO tallies (slot, state, n)
    SELECT pg_backend_pid() % 64, 'sent', count(*) FROM gone HAVING count(*) > 0
    ON CONFLICT (slot, state) DO UPDATE SET n = tallies.n + excluded.n
)
SELECT g.key,
       CASE WHEN g.known IS NOT NULL THEN 'known' WHEN i.decision IS NULL THEN 'missing'
            -- Somebody else noted it at this very moment.
            WHEN f.key IS NULL THEN 'known'
            WHEN d.id IS NOT NULL THEN 'ended' ELSE 'noted' END,
       coalesce(g.known, i.decision)
FROM given g LEFT JOIN input i USING (key) LEFT JOIN fresh f USING (key)
LEFT JOIN gone d ON d.id = f.decision AND d.waits_for = f.kind
