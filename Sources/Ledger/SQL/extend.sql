-- Keeps the leases of work that takes long.
-- In:  $1 id, $2 epoch (arrays); $3 lease seconds. Leases lost meanwhile are left alone.
-- Out: (id, epoch) of those that are kept.
UPDATE unsettled u
SET lease_until = now() + make_interval(secs => $3::int4), look_at = now() + make_interval(secs => $3::int4 + 10)
FROM unnest($1::text[], $2::int4[]) AS i(id, epoch)
WHERE u.id = i.id AND u.epoch = i.epoch AND u.lease IS NOT NULL
RETURNING u.id, u.epoch
