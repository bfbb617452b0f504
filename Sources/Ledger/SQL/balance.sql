-- The accounting, in one snapshot: running counts, rows that are still unsettled, and dead letters.
-- Out: (source, state, count).
SELECT 'tally', state, sum(n)::int8 FROM tallies GROUP BY state
UNION ALL
SELECT 'unsettled', CASE WHEN lease_until > now() THEN 'active' ELSE 'waiting' END, count(*)::int8
FROM unsettled GROUP BY 2
UNION ALL
SELECT 'dead_letters', '', count(*)::int8 FROM dead_letters
