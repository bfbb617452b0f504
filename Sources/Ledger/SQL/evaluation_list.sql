-- Decisions of a shard for an evaluation: the newest reward of each whose window has closed, and how it was chosen.
-- In:  $1 shard, $2 after this transaction and $3 place, $4 campaign or null, $5 decided since or null, $6 decided
--      before or null, $7 the most, $8 with the decisions' texts.
-- Out: shard, transaction, place, reward, choice or null, decision or null.
SELECT r.shard::int4, r.xid::text, r.place, r.body, c.body,
       CASE WHEN $8::bool THEN d.body END
FROM rewards r
JOIN decisions d ON d.id = r.decision
LEFT JOIN choices c ON c.decision = r.decision
WHERE r.shard = $1::int4 AND (r.xid, r.place) > ($2::text::xid8, $3::int4)
  AND r.state <> 'provisional'
  AND NOT EXISTS (SELECT 1 FROM rewards n WHERE n.decision = r.decision AND n.revision > r.revision)
  -- No reward comes before its decision.
  AND ($5::timestamptz IS NULL OR (r.at >= $5::timestamptz AND d.accepted_at >= $5::timestamptz))
  AND ($6::timestamptz IS NULL OR d.accepted_at < $6::timestamptz)
  AND ($4::text IS NULL OR d.campaign = $4::text)
ORDER BY r.xid, r.place LIMIT $7::int4
