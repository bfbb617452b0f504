-- Takes up deliveries that are due and that nobody holds, under a new fencing token.
-- In:  $1 id, $2 lease (arrays, ids unique); $3 lease seconds.
-- Out: one row for each id: what became of it, and for claimed ones all that is known.
WITH input AS (
    SELECT * FROM unnest($1::text[], $2::text[]) AS i(id, lease)
), taken AS (
    UPDATE unsettled u
    SET epoch = u.epoch + 1, lease = i.lease, paused_by = NULL, lease_until = now() + make_interval(secs => $3::int4),
        lapses = CASE WHEN u.lease IS NULL THEN 0 WHEN u.lease = i.lease THEN u.lapses
                      ELSE least(u.lapses + 1, 32767) END
    FROM input i
    WHERE u.id = i.id
      AND (u.lease_until IS NULL OR u.lease_until <= now() OR u.lease = i.lease)
      AND u.due_at <= now()
    RETURNING u.*
)
SELECT i.id,
       CASE WHEN t.id IS NOT NULL THEN 'claimed' WHEN u.id IS NOT NULL THEN 'not_now'
            WHEN d.id IS NOT NULL THEN 'finished' ELSE 'missing' END,
       CASE WHEN u.due_at > coalesce(u.lease_until, now()) THEN u.due_at + interval '50 milliseconds'
            ELSE greatest(u.lease_until, now()) + interval '1 second' END,
       d.shard::int4, t.epoch, d.accepted_at, t.due_at, t.step::int4, t.attempts::int4, t.step_attempts::int4, t.has_sent,
       t.open_number::int4, t.open_channel, t.open_provider, t.opened_at,
       t.lapses::int4,
       (SELECT string_agg(DISTINCT e.kind, ',') FROM events e
        WHERE t.step > 0 AND e.decision = t.id AND e.kind IN ('delivered', 'open', 'click', 'conversion')),
       CASE WHEN t.id IS NOT NULL THEN d.body END,
       t.avoids, t.devices,
       (SELECT c.body FROM choices c WHERE c.decision = t.id)
FROM input i
LEFT JOIN taken t USING (id)
LEFT JOIN unsettled u USING (id)
LEFT JOIN decisions d USING (id)
