-- Looks up decisions that were accepted before.
-- In:  $1 id, $2 body (arrays).
-- Out: (position from 1, source, is the text the same).
SELECT i.position, d.source, d.body = i.body
FROM unnest($1::text[], $2::bytea[]) WITH ORDINALITY AS i(id, body, position)
JOIN decisions d USING (id)
