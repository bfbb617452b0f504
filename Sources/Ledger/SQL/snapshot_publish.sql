-- Gives a model the next number, if the lease is still held under the same epoch; brings it into use unless it is a
-- candidate or the kind is frozen. Repeating makes another snapshot.
-- In:  $1 kind, $2 the lease's name, $3 holder, $4 epoch, $5 whether it is a candidate, $6 and $7 training window,
--      $8 metrics, $9 body.
-- Out: its number, or no row when the lease is lost.
WITH held AS (
    -- Whoever would take the lease waits for this commit; who has taken it is seen.
    SELECT name FROM leases WHERE name = $2::text AND holder = $3::text AND epoch = $4::int8 AND until > now()
    FOR UPDATE
), state AS (
    UPDATE model_state SET last = last + 1,
        active = CASE WHEN frozen OR $5::bool THEN active ELSE last + 1 END
    FROM held WHERE kind = $1::text
    RETURNING last AS number, frozen OR $5::bool AS is_candidate
)
INSERT INTO snapshots (kind, number, made_by, trained_from, trained_to, is_candidate, metrics, digest, size, body)
SELECT $1::text, number, $3::text, $6::timestamptz, $7::timestamptz, is_candidate, $8::text::jsonb,
       sha256($9::bytea), length($9::bytea), $9::bytea
FROM state
RETURNING number
