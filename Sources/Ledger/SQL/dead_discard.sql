-- Drops dead letters: their deliveries stay as they ended.
-- In:  $1 ids.
-- Out: the ids that were dropped. The others are no dead letters, or not any more: repeating is safe.
WITH chosen AS (
    SELECT decision FROM dead_letters WHERE decision = ANY($1::text[]) ORDER BY decision FOR UPDATE
), letters AS (
    DELETE FROM dead_letters l USING chosen c WHERE l.decision = c.decision RETURNING l.decision, l.reason
), told AS (
    INSERT INTO events (decision, at, kind, detail)
    SELECT decision, now(), 'discarded', jsonb_build_object('reason', reason) FROM letters
)
SELECT decision FROM letters
