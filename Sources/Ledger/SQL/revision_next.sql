-- The rewards that come next in each shard, each with the revision before it: what is to be learned is the difference.
-- In and order as in reward_next. Out: shard, transaction, place, body, body of the revision
-- before or null, the choice or null.
SELECT s.shard, r.xid::text, r.place, r.body,
       (SELECT p.body FROM rewards p WHERE p.decision = r.decision AND p.revision = r.revision - 1),
       (SELECT c.body FROM choices c WHERE c.decision = r.decision)
FROM unnest($1::int4[], $2::text[], $3::int4[]) AS s(shard, xid, place)
CROSS JOIN LATERAL (
    SELECT decision, revision, xid, place, body FROM rewards
    WHERE shard = s.shard AND (xid, place) > (s.xid::xid8, s.place)
      AND xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY xid, place LIMIT $4::int4
) r
