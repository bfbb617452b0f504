-- What a person wants to see of the whole ledger.
-- Out: (kind, key, count, p50, p90, p99 in seconds or null).
-- kinds: state (key: terminal state and reason), span (first acceptance to last settlement, and to nine tenths of them),
--        latency (key: channel and provider; acceptance, or being due, to the first attempt's end), attempt (key: channel, provider, verdict).
SELECT 'state', s.state || ' ' || s.reason, count(*)::int8, NULL::float8, NULL::float8, NULL::float8
FROM settlements s GROUP BY 2
UNION ALL
SELECT 'attempt', a.channel || ' ' || a.provider || ' ' || a.verdict, count(*)::int8,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM a.closed_at - a.opened_at)::float8),
       percentile_cont(0.9) WITHIN GROUP (ORDER BY extract(epoch FROM a.closed_at - a.opened_at)::float8),
       percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM a.closed_at - a.opened_at)::float8)
FROM attempts a GROUP BY 2
UNION ALL
SELECT 'latency', a.channel || ' ' || a.provider, count(*)::int8,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM a.closed_at - d.accepted_at)::float8),
       percentile_cont(0.9) WITHIN GROUP (ORDER BY extract(epoch FROM a.closed_at - d.accepted_at)::float8),
       percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM a.closed_at - d.accepted_at)::float8)
FROM attempts a JOIN decisions d ON d.id = a.decision
WHERE a.number = 1 GROUP BY 2
UNION ALL
SELECT 'span', 'seconds', count(*)::int8,
       extract(epoch FROM max(s.settled_at) - (SELECT min(accepted_at) FROM decisions))::float8,
       extract(epoch FROM percentile_disc(0.9) WITHIN GROUP (ORDER BY s.settled_at)
                          - (SELECT min(accepted_at) FROM decisions))::float8, NULL
FROM settlements s
UNION ALL
SELECT 'exact', 'decisions', count(*)::int8, NULL, NULL, NULL FROM decisions
UNION ALL
SELECT 'exact', 'settlements', count(*)::int8, NULL, NULL, NULL FROM settlements
UNION ALL
SELECT 'exact', 'unsettled', count(*)::int8, NULL, NULL, NULL FROM unsettled
