-- Takes decisions whose rewards are to be looked at: those that something came for, and those whose windows have closed.
-- They stay locked until the commit; what others hold is left to them.
-- In:  $1 the most of each.
-- Out: the ids.
WITH touched AS (
    DELETE FROM reward_due WHERE decision = ANY(ARRAY(
        SELECT decision FROM reward_due WHERE at <= now() ORDER BY at LIMIT $1::int4 FOR UPDATE SKIP LOCKED))
    RETURNING decision
), closing AS (
    SELECT id FROM settlements WHERE closes_at <= now() ORDER BY closes_at LIMIT $1::int4 FOR UPDATE SKIP LOCKED
)
SELECT decision FROM touched UNION SELECT id FROM closing ORDER BY 1
