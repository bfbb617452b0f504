-- Records a person's own word about an address: no marketing to it any more, or again. An address that is dead stays so.
-- In:  $1 channel, $2 address key, $3 granted, $4 who says so. Repeating is safe.
WITH again AS (
    DELETE FROM suppressions
    WHERE $3::bool AND channel = $1::text AND address_key = $2::bytea AND kind = 'declined'
)
INSERT INTO suppressions (channel, address_key, reason, decision, at, kind)
SELECT $1::text, $2::bytea, $4::text, '', now(), 'declined' WHERE NOT $3::bool
ON CONFLICT (channel, address_key, topic) DO NOTHING
