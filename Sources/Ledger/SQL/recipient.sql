-- Whom a tracked message went to.
-- In: $1 decision, or # and 32 digits of the digest of its id, $2 attempt. Out: one row, or none: id, text, channel.
SELECT d.id, d.body,
       coalesce((SELECT channel FROM attempts WHERE decision = d.id AND number = $2::int4),
                (SELECT open_channel FROM unsettled WHERE id = d.id AND open_number = $2::int4))
FROM (
    (SELECT id, body FROM decisions WHERE id = $1::text)
    UNION ALL
    (SELECT id, body FROM decisions
     WHERE $1::text ~ '^#[0-9a-f]{32}$' AND length(id) > 42
       AND id_digest(id)
           = CASE WHEN $1::text ~ '^#[0-9a-f]{32}$' THEN decode(substr($1::text, 2), 'hex') END)
    LIMIT 1
) d
