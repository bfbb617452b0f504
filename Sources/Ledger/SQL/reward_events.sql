-- What else is in the trails of decisions and matters for their rewards: conversions, complaints, rests. In: $1 ids.
SELECT decision, kind, at, detail::text
FROM events
WHERE decision = ANY($1::text[])
  AND (kind IN ('conversion', 'rest') OR kind = 'receipt' AND detail->>'kind' = 'complained')
ORDER BY decision, id
