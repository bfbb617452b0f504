-- Accepts new decisions.
-- In:  $1 id, $2 shard, $3 campaign, $4 class, $5 source, $6 body, $7 due_at, $8 lease or null (arrays, ids unique);
--      $9 lease seconds, $10 horizon seconds.
-- Out: (id, accepted_at) of those that are new. The others were accepted before.
WITH input AS (
    SELECT * FROM unnest($1::text[], $2::int4[], $3::text[], $4::text[], $5::text[], $6::bytea[],
                         $7::timestamptz[], $8::text[])
        AS i(id, shard, campaign, class, source, body, due_at, lease)
), fresh AS (
    INSERT INTO decisions (id, shard, campaign, class, source, accepted_at, body)
    SELECT id, shard, campaign, class, source, now(), body FROM input
    ON CONFLICT (id) DO NOTHING
    RETURNING id, accepted_at
), work AS (
    INSERT INTO unsettled (id, shard, epoch, due_at, look_at, lease, lease_until)
    SELECT i.id, i.shard, CASE WHEN i.lease IS NULL THEN 0 ELSE 1 END, i.due_at,
           CASE WHEN i.lease IS NOT NULL THEN now() + make_interval(secs => $9::int4 + 10)
                WHEN i.due_at > now() + make_interval(secs => $10::int4) THEN i.due_at - make_interval(secs => $10::int4)
                ELSE greatest(i.due_at, now()) + interval '1 minute' END,
           i.lease, CASE WHEN i.lease IS NOT NULL THEN now() + make_interval(secs => $9::int4) END
    FROM input i JOIN fresh USING (id)
), counted AS (
    INSERT INTO tallies (slot, state, n)
    SELECT pg_backend_pid() % 64, 'accepted', count(*) FROM fresh HAVING count(*) > 0
    ON CONFLICT (slot, state) DO UPDATE SET n = tallies.n + excluded.n
)
SELECT id, accepted_at FROM fresh
