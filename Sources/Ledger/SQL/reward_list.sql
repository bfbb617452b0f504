-- Rewards of a shard for an export: the newest revision of each decision that has its final one, or all revisions.
-- In:  $1 shard, $2 after this transaction and $3 place, $4 campaign or null, $5 since or null, $6 all revisions,
--      $7 the most.
-- Out: shard, transaction, place, body.
SELECT r.shard::int4, r.xid::text, r.place, r.body
FROM rewards r
WHERE r.shard = $1::int4 AND (r.xid, r.place) > ($2::text::xid8, $3::int4)
  AND ($5::timestamptz IS NULL OR r.at >= $5::timestamptz)
  AND ($6::bool OR r.state <> 'provisional'
       AND NOT EXISTS (SELECT 1 FROM rewards n WHERE n.decision = r.decision AND n.revision > r.revision))
  AND ($4::text IS NULL OR (SELECT campaign FROM decisions d WHERE d.id = r.decision) = $4::text)
ORDER BY r.xid, r.place LIMIT $7::int4
