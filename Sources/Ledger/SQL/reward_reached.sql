-- Notes how far the streams of rewards are. In: $1 shard, $2 transaction, $3 place (arrays).
INSERT INTO reward_streams AS c (shard, xid, place)
SELECT shard, xid::xid8, place FROM unnest($1::int4[], $2::text[], $3::int4[]) AS s(shard, xid, place)
ON CONFLICT (shard) DO UPDATE SET xid = excluded.xid, place = excluded.place
WHERE (c.xid, c.place) < (excluded.xid, excluded.place)
