-- Finds deliveries that recovery should look at: far-off work that comes near, and work that nobody moved.
-- In:  $1 the most rows.
-- Out: (id, shard, due_at, is held by a worker, priority, campaign). Each row comes up again a minute after it is due, until it is settled.
WITH due AS (
    SELECT ctid AS place FROM unsettled WHERE look_at <= now() ORDER BY look_at LIMIT $1::int4 FOR UPDATE SKIP LOCKED
)
UPDATE unsettled u
SET look_at = CASE WHEN u.lease_until > now() THEN u.lease_until + interval '10 seconds'
                   ELSE greatest(u.due_at, now()) + interval '1 minute' END
-- Each by its place, not by a join: of a limit that it does not know the planner takes a tenth of the table for granted, and
-- would join all of it for each call. What was changed before it was locked has another place: it is found the next time.
WHERE u.ctid = ANY (ARRAY(SELECT place FROM due))
RETURNING u.id, u.shard::int4, u.due_at, coalesce(u.lease_until > now(), false), u.priority::int4,
          (SELECT d.campaign FROM decisions d WHERE d.id = u.id)
