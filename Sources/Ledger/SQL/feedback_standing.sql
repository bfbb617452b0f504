-- How each provider that ever told something stands.
-- Out: provider; the first slot after its last receipt in which it accepted something, or null; how much it has accepted
--      since; how much it accepted, and how many receipts it told, in the day that ended with its last receipt.
SELECT h.provider, u.since, coalesce(u.accepted, 0)::int8, b.accepted::int8, b.receipts::int8
FROM (SELECT provider, max(slot) AS heard FROM feedback WHERE receipts > 0 GROUP BY provider) h
CROSS JOIN LATERAL (
    SELECT min(slot) AS since, sum(accepted) AS accepted FROM feedback f
    WHERE f.provider = h.provider AND f.slot > h.heard AND f.accepted > 0
) u
CROSS JOIN LATERAL (
    SELECT sum(accepted) AS accepted, sum(receipts) AS receipts FROM feedback f
    WHERE f.provider = h.provider AND f.slot > h.heard - interval '1 day' AND f.slot <= h.heard
) b
