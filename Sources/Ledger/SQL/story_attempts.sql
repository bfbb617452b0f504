-- The closed attempts of one decision. In: $1 id.
SELECT number::int4, epoch, step::int4, channel, provider, opened_at, closed_at, verdict, reason, detail, provider_message_id
FROM attempts WHERE decision = $1::text ORDER BY number
