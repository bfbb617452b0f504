-- Takes or keeps a lease: who has it does what one process at a time should do.
-- In:  $1 name, $2 who asks, $3 seconds. Out: one row with the epoch, which rises when the holder changes, if it is
-- theirs, or none.
INSERT INTO leases AS l (name, holder, until) VALUES ($1::text, $2::text, now() + make_interval(secs => $3::int4))
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until,
    epoch = l.epoch + CASE WHEN l.holder = excluded.holder THEN 0 ELSE 1 END
WHERE l.holder = excluded.holder OR l.until <= now()
RETURNING epoch
