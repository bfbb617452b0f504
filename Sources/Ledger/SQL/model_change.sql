-- What a person decided about a kind, and the record of it.
-- In:  $1 kind, $2 active, $3 shadow, $4 frozen, $5 who, $6 what, $7 the number that it names or null, $8 reason.
-- Out: nothing.
WITH former AS (
    SELECT active FROM model_state WHERE kind = $1::text
), noted AS (
    INSERT INTO model_changes (kind, by, what, target, before, after, reason)
    SELECT $1::text, $5::text, $6::text, $7::int4, active, $2::int4, $8::text FROM former
)
UPDATE model_state SET active = $2::int4, shadow = $3::int4, frozen = $4::bool, changed_at = now(), changed_by = $5::text
WHERE kind = $1::text
