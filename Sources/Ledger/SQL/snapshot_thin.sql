-- Lets go of old bodies. Repeating is safe.
-- In:  $1 kind, $2 how many of the newest keep theirs, $3 for how many days before that one of each day does.
-- Out: nothing.
WITH dated AS (
    -- The last one of each day, by UTC.
    SELECT number, row_number() OVER newest AS place,
           row_number() OVER (PARTITION BY (made_at AT TIME ZONE 'UTC')::date ORDER BY number DESC) AS of_day,
           made_at
    FROM snapshots WHERE kind = $1::text AND body IS NOT NULL
    WINDOW newest AS (ORDER BY number DESC)
), named AS (
    SELECT unnest(ARRAY[target, before, after]) AS number FROM model_changes
    WHERE kind = $1::text AND at > now() - make_interval(days => $3::int4)
    UNION
    SELECT unnest(ARRAY[active, shadow]) FROM model_state WHERE kind = $1::text
)
UPDATE snapshots s SET body = NULL
FROM dated d
WHERE s.kind = $1::text AND s.number = d.number AND d.place > $2::int4
  AND (d.of_day > 1 OR d.made_at < now() - make_interval(days => $3::int4))
  AND NOT EXISTS (SELECT FROM named n WHERE n.number = s.number)
