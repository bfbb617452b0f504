-- Makes due what rested for a pause that has ended. The pause's row is deleted before, in the same transaction.
-- In:  $1 scope. Out: how many.
WITH freed AS (
    UPDATE unsettled SET paused_by = NULL, due_at = now(), look_at = now() WHERE paused_by = $1::text RETURNING 1
)
SELECT count(*)::int8 FROM freed
