-- The attempts of decisions. In: $1 ids.
SELECT decision, number::int4, step::int4, channel, provider, closed_at, verdict, propensity, opened_at
FROM attempts WHERE decision = ANY($1::text[]) ORDER BY decision, number
