-- The rest of one decision's trail. In: $1 id.
SELECT at, kind, detail::text FROM events WHERE decision = $1::text ORDER BY id LIMIT 1000
