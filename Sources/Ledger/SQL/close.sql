-- Records what came of attempts and what follows: a terminal state, or a rest.
-- In:  $1 id, $2 epoch, $3 step;
--      $4 number, $5 channel, $6 provider, $7 address key, $8 opened_at, $9 closed_at, $10 verdict, $11 reason,
--      $12 detail, $13 provider's message id, $14 address is dead
--      (a channel is that of the step, and all the others null, where no attempt was made; a detail without a number
--      says why);
--      $15 terminal state or null, $16 reason of what follows, $17 rest until, $18 rest at step;
--      $19 arm, $20 propensity, $21 policy, $22 seed, $23 time (arrays); $24 horizon seconds;
--      $25 person whose caps no longer count $26 message, or null; $27 the pause it rests for or null,
--      $28 becomes a dead letter, $29 the goal that is rested for or null,
--      $30 counts as an attempt at the step, $31 the provider to avoid next or null, $32 with what probability the provider
--      was chosen or null, $33 the devices that the step is done with (arrays).
-- Out: one row for each id and epoch: whether it was recorded, now or by an earlier call with the same epoch.
WITH input AS (
    -- A goal that was reached while its message was on the wire is not rested for.
    SELECT i.*,
           CASE WHEN i.waits_for IS NOT NULL
                THEN (SELECT true FROM events e WHERE e.decision = i.id AND e.kind = i.waits_for LIMIT 1) END AS is_reached
    FROM unnest($1::text[], $2::int4[], $3::int4[], $4::int4[], $5::text[], $6::text[], $7::bytea[],
                $8::timestamptz[], $9::timestamptz[], $10::text[], $11::text[], $12::text[], $13::text[],
                $14::bool[], $15::text[], $16::text[], $17::timestamptz[], $18::int4[], $19::text[],
                $20::float8[], $21::text[], $22::int8[], $23::timestamptz[], $25::text[],
                $26::text[], $27::text[], $28::bool[], $29::text[], $30::bool[], $31::text[],
                $32::float8[], $33::bytea[])
        AS i(id, epoch, step, number, channel, provider, address_key, opened_at, closed_at, verdict, reason, detail,
             message_id, is_dead, state, next_reason, rest_until, rest_step, arm, propensity, policy, seed, at,
             user_id, message, paused_by, is_dead_letter, waits_for, is_counted, avoids, chosen_with, devices)
), standing AS (
    -- Whoever resumes a scope waits for these locks, and then finds what rests for it.
    SELECT scope FROM pauses WHERE scope IN (SELECT paused_by FROM input) FOR KEY SHARE
), gone AS (
    DELETE FROM unsettled u USING input i
    WHERE u.id = i.id AND u.epoch = i.epoch AND u.lease IS NOT NULL AND i.state IS NOT NULL
    RETURNING u.id, u.epoch, u.attempts, u.supersedes, u.rank, u.priority, u.window_ms
), kept AS (
    UPDATE unsettled u
    -- A pause that has ended meanwhile holds nobody back.
    SET due_at = CASE WHEN i.is_reached OR i.paused_by IS NOT NULL AND s.scope IS NULL THEN now()
                      ELSE i.rest_until END,
        paused_by = s.scope,
        look_at = CASE WHEN i.is_reached OR i.paused_by IS NOT NULL AND s.scope IS NULL THEN now()
                       WHEN i.rest_until > now() + make_interval(secs => $24::int4)
                       THEN i.rest_until - make_interval(secs => $24::int4)
                       ELSE greatest(i.rest_until, now()) + interval '1 minute' END,
        lease = NULL, lease_until = NULL, open_number = NULL, open_channel = NULL, open_provider = NULL,
        opened_at = NULL, lapses = 0,
        step_attempts = CASE WHEN i.rest_step <> u.step THEN 0
                             WHEN i.is_counted THEN u.step_attempts + 1 ELSE u.step_attempts END,
        avoids = CASE WHEN i.rest_step <> u.step THEN NULL WHEN i.number IS NULL THEN u.avoids ELSE i.avoids END,
        attempts = greatest(u.attempts, i.number), has_sent = u.has_sent OR coalesce(i.verdict = 'accepted', false),
        step = i.rest_step, devices = i.devices,
        -- Between two attempts at a step what was waited for before it still counts.
        waits_for = CASE WHEN i.rest_step <> u.step THEN i.waits_for ELSE u.waits_for END,
        arm = i.arm, propensity = i.propensity, policy = i.policy, seed = i.seed
    FROM input i LEFT JOIN standing s ON s.scope = i.paused_by
    WHERE u.id = i.id AND u.epoch = i.epoch AND u.lease IS NOT NULL AND i.state IS NULL
    RETURNING u.id, u.epoch
), held AS (
    SELECT id, epoch FROM gone UNION ALL SELECT id, epoch FROM kept
), tried AS (
    INSERT INTO attempts (decision, number, epoch, step, channel, provider, opened_at, closed_at, verdict, reason,
                          detail, provider_message_id, address_key, propensity)
    SELECT i.id, i.number, i.epoch, i.step, i.channel, i.provider, i.opened_at, i.closed_at, i.verdict, i.reason,
           i.detail, i.message_id, i.address_key, i.chosen_with
    FROM input i JOIN held USING (id, epoch) WHERE i.number IS NOT NULL
), ended AS (
    INSERT INTO settlements (id, epoch, state, reason, step, attempts, arm, propensity, policy, seed, settled_at,
                             closes_at)
    SELECT i.id, i.epoch, i.state, i.next_reason, i.step, greatest(g.attempts, i.number), i.arm, i.propensity, i.policy,
           i.seed, i.at, window_end(i.state, i.next_reason, i.at, g.window_ms)
    FROM input i JOIN gone g USING (id, epoch)
), set_aside AS (
    INSERT INTO dead_letters (decision, at, reason, campaign, class, channel, provider, step, attempts, supersedes, rank,
                              priority, window_ms)
    SELECT i.id, i.at, i.next_reason, d.campaign, d.class, i.channel, i.provider, i.step,
           greatest(g.attempts, i.number), g.supersedes, g.rank, g.priority, g.window_ms
    FROM input i JOIN gone g USING (id, epoch)
    -- One look-up for each that is one, whatever the planner thinks of how many there are.
    CROSS JOIN LATERAL (SELECT campaign, class FROM decisions WHERE id = i.id LIMIT 1) d
    WHERE i.is_dead_letter
), counted AS (
    INSERT INTO tallies (slot, state, n)
    SELECT pg_backend_pid() % 64, i.state, count(*) FROM input i JOIN gone USING (id, epoch) GROUP BY i.state
    ON CONFLICT (slot, state) DO UPDATE SET n = tallies.n + excluded.n
), rested AS (
    INSERT INTO events (decision, at, kind, detail)
    SELECT i.id, i.at, 'rest', jsonb_build_object('reason', i.next_reason, 'until', i.rest_until, 'step', i.rest_step)
    FROM input i JOIN kept USING (id, epoch)
), noted AS (
    INSERT INTO events (decision, at, kind, detail)
    SELECT i.id, i.at, 'not_tried', jsonb_build_object('reason', i.next_reason, 'detail', i.detail, 'step', i.step)
    FROM input i JOIN held USING (id, epoch) WHERE i.number IS NULL AND i.detail IS NOT NULL
), released AS (
    -- It was not sent: it leaves room for another.
    UPDATE reach r
    SET sends = coalesce((SELECT array_agg(ROW(s.at, s.campaign, s.channel, s.message)::reached ORDER BY s.at)
                          FROM unnest(r.sends) s WHERE s.message <> ALL (x.messages)), '{}')
    FROM (SELECT i.user_id, array_agg(i.message) AS messages
          FROM input i JOIN held USING (id, epoch) WHERE i.user_id IS NOT NULL GROUP BY i.user_id) x
    WHERE r.user_id = x.user_id
), dead AS (
    INSERT INTO suppressions (channel, address_key, reason, decision, at)
    SELECT DISTINCT ON (i.channel, i.address_key) i.channel, i.address_key, i.reason, i.id, i.at
    FROM input i JOIN held USING (id, epoch) WHERE i.is_dead
    ON CONFLICT (channel, address_key, topic) DO UPDATE SET kind = 'dead', reason = excluded.reason
    WHERE suppressions.kind <> 'dead'
), too_late AS (
    -- A newer decision of the same `supersedes` key came while this one was on the wire.
    INSERT INTO events (decision, at, kind, detail)
    SELECT p.decision, now(), 'supersedes_too_late', jsonb_build_object('decision', g.id)
    FROM gone g JOIN supersessions p ON p.key = g.supersedes AND (p.rank, p.decision) > (g.rank, g.id)
    JOIN input i ON i.id = g.id AND i.epoch = g.epoch
    WHERE i.state IN ('sent', 'delivered', 'unknown')
      AND NOT EXISTS (SELECT 1 FROM events e WHERE e.decision = p.decision AND e.kind = 'supersedes_too_late')
), missing AS (
    -- Nearly always nobody: the counts are compared first, which spares a join of everything with everything.
    SELECT i.* FROM input i LEFT JOIN held h USING (id, epoch)
    WHERE (SELECT count(*) FROM held) < (SELECT count(*) FROM input) AND h.id IS NULL
), earlier AS (
    SELECT i.id, i.epoch
    FROM missing i
    LEFT JOIN settlements s ON s.id = i.id AND s.epoch = i.epoch
    LEFT JOIN attempts a ON a.decision = i.id AND a.number = i.number AND a.epoch = i.epoch
    LEFT JOIN unsettled u ON u.id = i.id AND u.epoch = i.epoch AND u.lease IS NULL
    WHERE s.id IS NOT NULL OR a.number IS NOT NULL OR u.id IS NOT NULL
), late AS (
    INSERT INTO events (decision, at, kind, detail)
    SELECT i.id, i.at, 'late_outcome',
           jsonb_build_object('attempt', i.number, 'verdict', i.verdict, 'reason', i.reason, 'provider', i.provider)
    FROM missing i
    WHERE i.number IS NOT NULL AND NOT EXISTS (SELECT 1 FROM earlier e WHERE e.id = i.id AND e.epoch = i.epoch)
)
SELECT i.id, i.epoch, h.id IS NOT NULL OR e.id IS NOT NULL
FROM input i LEFT JOIN held h USING (id, epoch) LEFT JOIN earlier e USING (id, epoch)
