-- Rewards for an export: the newest revision of each decision that has its final one, or all revisions.
-- In:  $1 after this transaction and $2 place, $3 campaign or null, $4 since or null, $5 all revisions, $6 the most.
-- Out: transaction, place, body.
SELECT r.xid::text, r.place, r.body
FROM rewards r
WHERE (r.xid, r.place) > ($1::text::xid8, $2::int4)
  AND ($4::timestamptz IS NULL OR r.at >= $4::timestamptz)
  AND ($5::bool OR r.state <> 'provisional'
       AND NOT EXISTS (SELECT 1 FROM rewards n WHERE n.decision = r.decision AND n.revision > r.revision))
  AND ($3::text IS NULL OR (SELECT campaign FROM decisions d WHERE d.id = r.decision) = $3::text)
ORDER BY r.xid, r.place LIMIT $6::int4
