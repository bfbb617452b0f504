-- Notes what a person did, once for each key, and ends the deliveries that rest for exactly that.
-- In:  $1 key, $2 decision or null, $3 key of the user where there is no decision: then it is theirs that sent them something, or
--      kept it from them as a holdout, and whose window had not closed; $4 kind, $5 time or null for now, $6 detail as JSON
--      (arrays, keys unique); $7 who gets the credit where there are several: 'last_touch', or 'position': 40 % to the
--      first and the last, the rest to those between (Google Analytics' "position based" shares).
-- Out: one row for each key: 'noted', 'ended' (noted, and a delivery ended by it), 'known' (noted before) or
--      'missing' (there is no such decision); and the newest decision. Repeating is safe.
WITH given AS (
    SELECT g.key, g.decision, g.user_key, g.kind, coalesce(g.at, now()) AS at, g.detail::jsonb AS detail,
           e.decision AS known
    FROM unnest($1::text[], $2::text[], $3::int8[], $4::text[], $5::timestamptz[], $6::text[])
        AS g(key, decision, user_key, kind, at, detail)
    LEFT JOIN events e ON e.key = g.key
), touched AS (
    SELECT g.key, t.id AS decision, coalesce(t.waits_for = g.kind, false) AS is_waiting, row_number() OVER newest AS place, count(*) OVER (PARTITION BY g.key) AS places
    FROM given g
    CROSS JOIN LATERAL (
        SELECT d.id, s.settled_at, s.closes_at, s.reason, u.waits_for,
               (SELECT min(a.opened_at) FROM attempts a
                WHERE a.decision = d.id AND a.verdict IN ('accepted', 'unknown')) AS sent_at
        FROM (SELECT id FROM decisions WHERE user_key = g.user_key AND user_key <> 0
              ORDER BY accepted_at DESC LIMIT 50) d
        LEFT JOIN settlements s ON s.id = d.id LEFT JOIN unsettled u ON u.id = d.id
        LEFT JOIN LATERAL (SELECT r.at FROM rewards r WHERE r.decision = d.id AND r.state = 'final' LIMIT 1) f ON true
        WHERE u.id IS NOT NULL OR s.closes_at >= g.at
           -- The window closed by now; whether it had when this happened, the final reward says.
           OR s.closes_at IS NULL AND f.at >= g.at
    ) t
    WHERE g.decision IS NULL AND g.known IS NULL
      AND coalesce(t.sent_at, CASE WHEN t.reason = 'holdout' THEN t.settled_at END) <= g.at
    WINDOW newest AS (PARTITION BY g.key ORDER BY coalesce(t.sent_at, t.settled_at) DESC, t.id DESC)
), input AS (
    SELECT g.key, g.kind, g.at, g.detail, d.id AS decision
    FROM given g LEFT JOIN decisions d ON d.id = g.decision
    WHERE g.known IS NULL AND (g.user_key IS NULL OR g.key NOT IN (SELECT key FROM touched))
    UNION ALL
    SELECT CASE WHEN t.place = 1 THEN g.key ELSE g.key || '#' || t.place END, g.kind, g.at,
           CASE WHEN t.places = 1 OR $7::text <> 'position' AND t.place = 1 THEN g.detail
                -- It is not waited for any longer, though the credit is another one's.
                WHEN $7::text <> 'position' THEN g.detail || '{"credit": 0}'
                ELSE g.detail || jsonb_build_object('credit', CASE WHEN t.places = 2 THEN 0.5
                     WHEN t.place IN (1, t.places) THEN 0.4 ELSE 0.2 / (t.places - 2) END) END,
           t.decision
    FROM given g JOIN touched t USING (key) WHERE t.place = 1 OR $7::text = 'position' OR t.is_waiting
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
), due AS (
    INSERT INTO reward_due (decision, at)
    SELECT DISTINCT decision, now() FROM fresh WHERE kind = 'conversion' ORDER BY decision
    -- Locked in any case: whoever looks at it now would not see what this statement brings.
    ON CONFLICT (decision) DO UPDATE SET at = least(reward_due.at, excluded.at)
), gone AS (
    DELETE FROM unsettled u USING held h JOIN (SELECT DISTINCT decision, kind FROM fresh) f
        ON f.decision = h.id AND f.kind = h.waits_for
    WHERE u.id = h.id AND h.open_number IS NULL
    RETURNING u.id, u.epoch, u.step, u.attempts, u.arm, u.propensity, u.policy, u.seed, u.window_ms, h.waits_for
), ended AS (
    INSERT INTO settlements (id, epoch, state, reason, step, attempts, arm, propensity, policy, seed, settled_at,
                             closes_at)
    -- A new epoch: whoever still holds the delivery must not take this settlement for its own.
    SELECT id, epoch + 1, 'sent', 'goal.reached', step, attempts, arm, propensity, policy, seed, now(),
           window_end('sent', 'goal.reached', now(), window_ms) FROM gone
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
