-- Decisions with a choice of arm that were sent and wait for reactions, and have brought none: the newest first.
-- In: $1 the most. Out: decision's text, choice, when it was sent.
SELECT d.body, c.body, a.closed_at
FROM settlements s
JOIN choices c ON c.decision = s.id
JOIN decisions d ON d.id = s.id
CROSS JOIN LATERAL (
    SELECT closed_at FROM attempts WHERE decision = s.id AND verdict = 'accepted' ORDER BY number LIMIT 1
) a
WHERE s.closes_at > now() AND s.arm IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM rewards r WHERE r.decision = s.id)
ORDER BY s.closes_at DESC LIMIT $1::int4
