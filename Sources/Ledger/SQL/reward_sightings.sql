-- What was seen of the messages of decisions. In: $1 ids.
SELECT decision, attempt::int4, kind, link::int4, is_hidden, method, at, user_agent, network
FROM sightings WHERE decision = ANY($1::text[]) ORDER BY decision, at, source
