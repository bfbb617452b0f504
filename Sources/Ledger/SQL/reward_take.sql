-- Takes decisions whose rewards are to be looked at: those that something came for, and those whose windows have closed.
-- They stay locked until the commit, with all that is written of them; what others hold is left to them, so that nobody
-- waits for anybody.
-- In:  $1 the most of each.
-- Out: the ids.
WITH due AS MATERIALIZED (
    SELECT decision FROM reward_due WHERE at <= now() ORDER BY at LIMIT $1::int4 FOR UPDATE SKIP LOCKED
), going AS MATERIALIZED (
    SELECT id FROM unsettled WHERE id = ANY(ARRAY(SELECT decision FROM due)) FOR UPDATE SKIP LOCKED
), ended AS MATERIALIZED (
    SELECT id FROM settlements WHERE id = ANY(ARRAY(SELECT decision FROM due)) FOR UPDATE SKIP LOCKED
), touched AS (
    DELETE FROM reward_due WHERE decision = ANY(ARRAY(SELECT id FROM going UNION ALL SELECT id FROM ended))
    RETURNING decision
), closing AS (
    SELECT id FROM settlements WHERE closes_at <= now() ORDER BY closes_at LIMIT $1::int4 FOR UPDATE SKIP LOCKED
)
SELECT decision FROM touched UNION SELECT id FROM closing ORDER BY 1
