-- Accepts new decisions, and opens the first attempts of those that go out at once.
-- In:  $1 id, $2 shard, $3 campaign, $4 class, $5 source, $6 body, $7 due_at, $8 lease or null (arrays, ids unique);
--      $9 lease seconds, $10 horizon seconds;
--      $11 channel, $12 provider, $13 address key, $14 time of the attempt to open (null where there is none),
--      $15 supersedes key or null, $16 rank, $17 priority (arrays).
-- Out: (id, accepted_at, the reason of a suppression or null, the newer decision of the same key or null) of those that
--      are new. The others were accepted before.
WITH input AS (
    SELECT i.*, s.reason AS suppression,
           CASE WHEN (p.rank, p.decision) > (i.rank, i.id COLLATE "C") THEN p.decision END AS newer
    FROM unnest($1::text[], $2::int4[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::timestamptz[],
                $8::text[], $11::text[], $12::text[], $13::bytea[], $14::timestamptz[], $15::text[], $16::int8[],
                $17::int4[])
        AS i(id, shard, campaign, class, source, body, due_at, lease, channel, provider, address_key, opened_at,
             supersedes, rank, priority)
    LEFT JOIN suppressions s ON s.channel = i.channel AND s.address_key = i.address_key
    LEFT JOIN supersessions p ON p.key = i.supersedes
), fresh AS (
    INSERT INTO decisions (id, shard, campaign, class, source, accepted_at, body)
    SELECT id, shard, campaign, class, source, now(), body FROM input
    ON CONFLICT (id) DO NOTHING
    RETURNING id, accepted_at
), new AS (
    SELECT i.*, f.accepted_at, i.channel IS NOT NULL AND i.suppression IS NULL AND i.newer IS NULL AS is_open
    FROM input i JOIN fresh f USING (id)
), work AS (
    INSERT INTO unsettled (id, shard, epoch, due_at, look_at, lease, lease_until,
                           open_number, open_channel, open_provider, opened_at, supersedes, rank,
                           priority)
    SELECT n.id, n.shard, CASE WHEN n.lease IS NULL THEN 0 ELSE 1 END, n.due_at,
           CASE WHEN n.lease IS NOT NULL THEN now() + make_interval(secs => $9::int4 + 10)
                WHEN n.due_at > now() + make_interval(secs => $10::int4) THEN n.due_at - make_interval(secs => $10::int4)
                ELSE greatest(n.due_at, now()) + interval '1 minute' END,
           n.lease, CASE WHEN n.lease IS NOT NULL THEN now() + make_interval(secs => $9::int4) END,
           CASE WHEN n.is_open THEN 1 END, CASE WHEN n.is_open THEN n.channel END,
           CASE WHEN n.is_open THEN n.provider END, CASE WHEN n.is_open THEN n.opened_at END,
           n.supersedes, n.rank, n.priority
    FROM new n
), newest AS (
    -- The caller puts no key twice into a group.
    INSERT INTO supersessions (key, decision, rank, at)
    SELECT n.supersedes, n.id, n.rank, now() FROM new n WHERE n.supersedes IS NOT NULL AND n.newer IS NULL
    ON CONFLICT (key) DO UPDATE SET decision = excluded.decision, rank = excluded.rank, at = excluded.at
    WHERE (supersessions.rank, supersessions.decision) < (excluded.rank, excluded.decision)
), too_late AS (
    -- The one before it may be on the wire, or sent: then it stays so, and that is said.
    INSERT INTO events (decision, at, kind, detail)
    SELECT n.id, now(), 'supersedes_too_late', jsonb_build_object('decision', p.decision)
    FROM new n JOIN supersessions p ON p.key = n.supersedes
    LEFT JOIN unsettled u ON u.id = p.decision LEFT JOIN settlements s ON s.id = p.decision
    WHERE n.newer IS NULL AND p.decision <> n.id
      AND (u.open_number IS NOT NULL OR u.has_sent OR s.state IN ('sent', 'delivered', 'unknown'))
), counted AS (
    INSERT INTO tallies (slot, state, n)
    SELECT pg_backend_pid() % 64, 'accepted', count(*) FROM fresh HAVING count(*) > 0
    ON CONFLICT (slot, state) DO UPDATE SET n = tallies.n + excluded.n
)
SELECT id, accepted_at, suppression, newer FROM new
