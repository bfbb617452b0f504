-- Records what a person said yes or no to; what was said of narrower things before no longer counts.
-- In:  $1 person, $2 channel or '', $3 topic or '', $4 granted, $5 source.
WITH narrower AS (
    DELETE FROM consents
    WHERE user_id = $1::text AND ($2::text = '' OR channel = $2::text) AND ($3::text = '' OR topic = $3::text)
      AND (channel, topic) <> ($2::text, $3::text)
)
INSERT INTO consents (user_id, channel, topic, granted, source, at)
VALUES ($1::text, $2::text, $3::text, $4::bool, $5::text, now())
ON CONFLICT (user_id, channel, topic) DO UPDATE
SET granted = excluded.granted, source = excluded.source, at = excluded.at
