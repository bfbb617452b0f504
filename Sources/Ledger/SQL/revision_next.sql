-- The rewards that come next in each shard, each with the revision before it: what is to be learned is the difference.
-- In:  as in reward_next, and $5 only of decisions for which something was chosen.
-- Out: shard, transaction, place, body, body of the revision before or null, the choice or null. Where only those with a
--      choice are asked for, also the last row that was looked at, with an empty body.
WITH next AS MATERIALIZED (
    SELECT s.shard, r.decision, r.revision, r.xid, r.place
    FROM unnest($1::int4[], $2::text[], $3::int4[]) AS s(shard, xid, place)
    CROSS JOIN LATERAL (
        SELECT decision, revision, xid, place FROM rewards
        WHERE shard = s.shard AND (xid, place) > (s.xid::xid8, s.place)
          AND xid < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY xid, place LIMIT $4::int4
    ) r
), chosen AS (
    SELECT n.*, (SELECT c.body FROM choices c WHERE c.decision = n.decision) AS choice FROM next n
), wanted AS (
    SELECT c.*, row_number() OVER (PARTITION BY shard ORDER BY xid DESC, place DESC) = 1 AS is_last FROM chosen c
)
SELECT w.shard, w.xid::text, w.place,
       CASE WHEN NOT $5::bool OR w.choice IS NOT NULL THEN
           (SELECT r.body FROM rewards r WHERE r.decision = w.decision AND r.revision = w.revision) ELSE ''::bytea END,
       CASE WHEN NOT $5::bool OR w.choice IS NOT NULL THEN
           (SELECT p.body FROM rewards p WHERE p.decision = w.decision AND p.revision = w.revision - 1) END,
       w.choice
FROM wanted w WHERE NOT $5::bool OR w.choice IS NOT NULL OR w.is_last
ORDER BY w.shard, w.xid, w.place
