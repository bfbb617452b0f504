-- The rewards that come next in each shard's stream. Those of transactions that are still under way are waited for, so
-- that nothing is ever put in front of what was read.
-- In:  $1 shard, $2 transaction and $3 place of the last one in the stream (arrays); $4 the most of each shard.
-- Out: shard, transaction, place, body; in the order of the stream.
SELECT s.shard, r.xid::text, r.place, r.body
FROM unnest($1::int4[], $2::text[], $3::int4[]) AS s(shard, xid, place)
CROSS JOIN LATERAL (
    SELECT xid, place, body FROM rewards
    WHERE shard = s.shard AND (xid, place) > (s.xid::xid8, s.place)
      AND xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY xid, place LIMIT $4::int4
) r
