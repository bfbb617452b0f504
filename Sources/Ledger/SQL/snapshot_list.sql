-- Snapshots of a kind without their bodies, the newest first.
-- In:  $1 kind, $2 before this number or null, $3 the most.
-- Out: number, made_at, made_by, trained_from, trained_to, is_candidate, metrics, digest, size, whether the body is kept.
SELECT number, made_at, made_by, trained_from, trained_to, is_candidate, metrics, digest, size, body IS NOT NULL
FROM snapshots
WHERE kind = $1::text AND number < coalesce($2::int4, 2147483647)
ORDER BY number DESC LIMIT $3::int4
