-- Looks up decisions that were accepted before.
-- In:  $1 id, $2 body, $3 lease or null (arrays).
-- Out: (position from 1, source, is the text the same, is it still held since its acceptance under this lease,
--       accepted_at, is its first attempt open).
SELECT i.position, d.source, d.body = i.body, coalesce(u.lease = i.lease AND u.epoch = 1, false), d.accepted_at,
       coalesce(u.open_number = 1, false)
FROM unnest($1::text[], $2::bytea[], $3::text[]) WITH ORDINALITY AS i(id, body, lease, position)
JOIN decisions d USING (id) LEFT JOIN unsettled u USING (id)
