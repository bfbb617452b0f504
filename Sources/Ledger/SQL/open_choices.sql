-- Decisions with a choice of arm that were sent and wait for reactions, and have brought none: those whose windows close
-- last come first.
-- In: $1 closing before this, $2 the most. Out: when the window closes, decision's text, choice, when it was sent or null.
SELECT s.closes_at, d.body, c.body, a.closed_at
FROM (
    SELECT s.id, s.closes_at FROM settlements s
    WHERE s.closes_at > now() AND s.closes_at < $1::timestamptz AND s.arm IS NOT NULL
    ORDER BY s.closes_at DESC LIMIT $2::int4
) s
JOIN LATERAL (SELECT body FROM decisions WHERE id = s.id) d ON true
JOIN LATERAL (SELECT body FROM choices WHERE decision = s.id) c ON true
LEFT JOIN LATERAL (
    SELECT closed_at FROM attempts WHERE decision = s.id AND verdict = 'accepted'
      AND NOT EXISTS (SELECT 1 FROM rewards r WHERE r.decision = s.id)
    ORDER BY number LIMIT 1
) a ON true
ORDER BY s.closes_at DESC
