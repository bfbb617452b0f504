-- Accepts new decisions, and opens the first attempts of those that go out at once.
-- In:  $1 id, $2 shard, $3 campaign, $4 class, $5 source, $6 body, $7 due_at, $8 lease or null (arrays, ids unique);
--      $9 lease seconds, $10 horizon seconds;
--      $11 channel, $12 provider, $13 address key, $14 time of the attempt to open (arrays; null where there is none).
-- Out: (id, accepted_at, the reason of a suppression or null) of those that are new. The others were accepted before.
WITH input AS (
    SELECT i.*, s.reason AS suppression
    FROM unnest($1::text[], $2::int4[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::timestamptz[],
                $8::text[], $11::text[], $12::text[], $13::bytea[], $14::timestamptz[])
        AS i(id, shard, campaign, class, source, body, due_at, lease, channel, provider, address_key, opened_at)
    LEFT JOIN suppressions s ON s.channel = i.channel AND s.address_key = i.address_key
), fresh AS (
    INSERT INTO decisions (id, shard, campaign, class, source, accepted_at, body)
    SELECT id, shard, campaign, class, source, now(), body FROM input
    ON CONFLICT (id) DO NOTHING
    RETURNING id, accepted_at
), new AS (
    SELECT i.*, f.accepted_at, i.channel IS NOT NULL AND i.suppression IS NULL AS is_open
    FROM input i JOIN fresh f USING (id)
), work AS (
    INSERT INTO unsettled (id, shard, epoch, due_at, look_at, lease, lease_until,
                           open_number, open_channel, open_provider, opened_at)
    SELECT n.id, n.shard, CASE WHEN n.lease IS NULL THEN 0 ELSE 1 END, n.due_at,
           CASE WHEN n.lease IS NOT NULL THEN now() + make_interval(secs => $9::int4 + 10)
                WHEN n.due_at > now() + make_interval(secs => $10::int4) THEN n.due_at - make_interval(secs => $10::int4)
                ELSE greatest(n.due_at, now()) + interval '1 minute' END,
           n.lease, CASE WHEN n.lease IS NOT NULL THEN now() + make_interval(secs => $9::int4) END,
           CASE WHEN n.is_open THEN 1 END, CASE WHEN n.is_open THEN n.channel END,
           CASE WHEN n.is_open THEN n.provider END, CASE WHEN n.is_open THEN n.opened_at END
    FROM new n
), counted AS (
    INSERT INTO tallies (slot, state, n)
    SELECT pg_backend_pid() % 64, 'accepted', count(*) FROM fresh HAVING count(*) > 0
    ON CONFLICT (slot, state) DO UPDATE SET n = tallies.n + excluded.n
)
SELECT id, accepted_at, suppression FROM new
