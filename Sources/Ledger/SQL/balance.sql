-- The accounting, in one snapshot: running counts, rows that are still unsettled, and dead letters.
-- Out: (source, state, count, for how many ms the earliest of them has been due: not positive when none is, or null).
SELECT 'tally', state, sum(n)::int8, NULL::int8 FROM tallies GROUP BY state
UNION ALL
SELECT 'unsettled', CASE WHEN lease_until > now() THEN 'active' ELSE 'waiting' END, count(*)::int8,
       (extract(epoch FROM now() - min(due_at)) * 1000)::int8
FROM unsettled GROUP BY 2
UNION ALL
SELECT 'dead_letters', '', count(*)::int8, NULL FROM dead_letters
