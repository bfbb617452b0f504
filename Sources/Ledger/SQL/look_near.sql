-- Makes recovery look at deliveries that are near, since the queue has lost them. Far-off ones come near by themselves.
-- In:  $1 horizon seconds, $2 the most rows. Out: how many; call again until there are none.
WITH near AS (
    SELECT id FROM unsettled
    WHERE look_at > now() AND look_at <= now() + make_interval(secs => $1::int4 + 61)
      AND due_at <= now() + make_interval(secs => $1::int4) AND (lease_until IS NULL OR lease_until <= now())
    LIMIT $2::int4 FOR UPDATE SKIP LOCKED
), moved AS (
    UPDATE unsettled u SET look_at = now() FROM near WHERE u.id = near.id RETURNING 1
)
SELECT count(*)::int8 FROM moved
