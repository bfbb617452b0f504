-- Takes receipts that wait for the record of their attempt and are to be looked at again, and drops the oldest ones.
-- In:  $1 the most rows, $2 seconds for which they are kept.
-- Out: the receipts, as receipt.sql takes them, and null for each one that was dropped. Repeating is safe.
WITH due AS (
    SELECT key FROM receipts_unmatched WHERE look_at <= now() ORDER BY look_at LIMIT $1::int4 FOR UPDATE SKIP LOCKED
), dropped AS (
    DELETE FROM receipts_unmatched w USING due d
    WHERE w.key = d.key AND w.since < now() - make_interval(secs => $2::int4)
    RETURNING w.key
), looked AS (
    -- Next time after as long as it has waited already.
    UPDATE receipts_unmatched w
    SET look_at = now() + greatest(interval '2 seconds', least(now() - w.since, interval '1 hour'))
    FROM due d WHERE w.key = d.key AND w.since >= now() - make_interval(secs => $2::int4)
    RETURNING w.key, w.provider, w.message_id, w.decision, w.number, w.kind, w.reason, w.detail, w.at, w.is_dead,
              w.is_asked
)
SELECT key, provider, message_id, decision, number, kind, reason, detail, at, is_dead, is_asked FROM looked
UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM dropped
