-- Adds to what providers accepted and what they told, and forgets what is old.
-- In: $1 providers, unique and in order, $2 accepted, $3 receipts (arrays); $4 the slot, $5 the oldest one to keep.
WITH old AS (
    DELETE FROM feedback WHERE slot < $5::timestamptz
)
INSERT INTO feedback AS f (provider, slot, accepted, receipts)
SELECT g.provider, $4::timestamptz, g.accepted, g.receipts
FROM unnest($1::text[], $2::int8[], $3::int8[]) AS g(provider, accepted, receipts)
ON CONFLICT (provider, slot) DO UPDATE
SET accepted = f.accepted + excluded.accepted, receipts = f.receipts + excluded.receipts
