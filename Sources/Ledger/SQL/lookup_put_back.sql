-- Nobody asks a provider for a while; messages that it gave no answer about are asked for afterwards, as if they had not
-- been asked for now.
-- In: $1 provider, $2 milliseconds, $3 decisions, $4 numbers (arrays).
WITH turn AS (
    UPDATE lookup_turns SET next_at = greatest(next_at, now() + $2::int8 * interval '1 millisecond')
    WHERE provider = $1::text
)
UPDATE lookups l SET tries = l.tries - 1, look_at = now() + $2::int8 * interval '1 millisecond'
FROM unnest($3::text[], $4::int4[]) AS g(decision, number)
WHERE l.decision = g.decision AND l.number = g.number
