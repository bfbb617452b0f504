-- How many dead letters there are of each reason.
-- In:  $1 ids (none for any), $2 campaign, $3 channel, $4 provider, $5 beginning of the reason, $6 class, $7 not before,
--      $8 before (null for any of these).
-- Out: (reason, count, the oldest, the newest), most first.
SELECT reason, count(*)::int8, min(at), max(at)
FROM dead_letters
WHERE (cardinality($1::text[]) = 0 OR decision = ANY($1)) AND ($2::text IS NULL OR campaign = $2)
  AND ($3::text IS NULL OR channel = $3) AND ($4::text IS NULL OR provider = $4)
  AND ($5::text IS NULL OR starts_with(reason, $5)) AND ($6::text IS NULL OR class = $6)
  AND ($7::timestamptz IS NULL OR at >= $7) AND ($8::timestamptz IS NULL OR at < $8)
GROUP BY reason ORDER BY 2 DESC, 1
