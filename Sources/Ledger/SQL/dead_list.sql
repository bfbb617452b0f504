-- Dead letters, the oldest first.
-- In:  $1 ids (none for any), $2 campaign, $3 channel, $4 provider, $5 beginning of the reason, $6 class, $7 not before,
--      $8 before (null for any of these); $9 time and $10 id of the last one seen, or null to begin; $11 the most rows.
-- Out: (decision, at, reason, campaign, class, channel, provider, step, attempts).
SELECT decision, at, reason, campaign, class, channel, provider, step::int4, attempts::int4
FROM dead_letters
WHERE (cardinality($1::text[]) = 0 OR decision = ANY($1)) AND ($2::text IS NULL OR campaign = $2)
  AND ($3::text IS NULL OR channel = $3) AND ($4::text IS NULL OR provider = $4)
  AND ($5::text IS NULL OR starts_with(reason, $5)) AND ($6::text IS NULL OR class = $6)
  AND ($7::timestamptz IS NULL OR at >= $7) AND ($8::timestamptz IS NULL OR at < $8)
  AND (at, decision) > (coalesce($9::timestamptz, '-infinity'), coalesce($10::text, ''))
ORDER BY at, decision LIMIT $11::int8
