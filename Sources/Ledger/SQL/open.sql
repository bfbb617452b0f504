-- Records that attempts are about to be made, if the fencing token still holds and nothing keeps them from being sent:
-- a newer decision of the same `supersedes` key, suppression, consent, a pause, a cap.
-- In:  $1 id, $2 epoch, $3 number, $4 channel, $5 provider, $6 address key, $7 time,
--      $8 class, $9 campaign, $10 person whose consent and caps count or null, $11 topic, $12 start of the person's
--      day, $13 message (arrays);
--      $14 channels that need consent; caps: $15 names, $16 most, $17 seconds or null, $18 channel or null,
--      $19 by campaign (arrays); $20 seconds for which messages are kept for caps.
-- Out: one row for each id and epoch: opened?, what keeps it from being sent or null, its reason.
-- Repeating is safe: only the holder of this epoch can have opened this number.
WITH held AS (
    SELECT array_agg(scope) AS scopes FROM pauses
), input AS (
    SELECT i.*, s.reason AS suppression, p.decision AS newer, c.granted,
           CASE WHEN h.scopes IS NOT NULL THEN
               (SELECT min(scope) FROM unnest(h.scopes) AS scope
                WHERE scope IN ('all', 'class:' || i.class, 'campaign:' || i.campaign, 'channel:' || i.channel,
                                'provider:' || i.provider)) END AS pause,
           w.id IS NOT NULL AS is_ours
    FROM unnest($1::text[], $2::int4[], $3::int4[], $4::text[], $5::text[], $6::bytea[], $7::timestamptz[],
                $8::text[], $9::text[], $10::text[], $11::text[], $12::timestamptz[], $13::text[])
        AS i(id, epoch, number, channel, provider, address_key, at, class, campaign, user_id, topic, day_start, message)
    CROSS JOIN held h
    LEFT JOIN LATERAL (
        SELECT s.reason FROM suppressions s
        WHERE s.channel = i.channel AND s.address_key = i.address_key
          AND (s.kind = 'dead' OR i.class = 'marketing' AND s.topic IN ('', i.topic))
        ORDER BY s.kind LIMIT 1
    ) s ON true
    LEFT JOIN LATERAL (
        SELECT c.granted FROM consents c
        WHERE c.user_id = i.user_id AND c.channel IN ('', i.channel) AND c.topic IN ('', i.topic)
        ORDER BY c.channel DESC, c.topic DESC LIMIT 1
    ) c ON true
    LEFT JOIN unsettled w ON w.id = i.id AND w.epoch = i.epoch AND w.lease IS NOT NULL
                         AND (w.open_number IS NULL OR w.open_number = i.number)
    LEFT JOIN supersessions p ON NOT w.has_sent AND p.key = w.supersedes AND (p.rank, p.decision) > (w.rank, w.id)
), judged AS (
    SELECT i.*,
           CASE WHEN NOT i.is_ours THEN 'fenced' WHEN i.newer IS NOT NULL THEN 'superseded'
                WHEN i.suppression IS NOT NULL THEN 'suppressed' WHEN NOT i.granted THEN 'withdrawn'
                WHEN i.granted IS NULL AND i.user_id IS NOT NULL AND i.channel = ANY ($14::text[]) THEN 'not_given'
                WHEN i.pause IS NOT NULL THEN 'paused' END AS verdict
    FROM input i
), reserved AS (
    -- The caller puts no person twice into a group. In order, so that two groups do not wait for each other.
    INSERT INTO reach AS r (user_id, day_start, sends)
    SELECT j.user_id, j.day_start, ARRAY[ROW(now(), j.campaign, j.channel, j.message)::reached]
    FROM judged j WHERE j.verdict IS NULL AND j.user_id IS NOT NULL AND cardinality($15::text[]) > 0
    ORDER BY j.user_id
    ON CONFLICT (user_id) DO UPDATE
    SET day_start = excluded.day_start, sends = reached_too(r.sends, excluded.sends[1], $20::int8)
    WHERE full_cap(r.sends, excluded.day_start, (excluded.sends[1]).message, (excluded.sends[1]).campaign,
                   (excluded.sends[1]).channel, $15::text[], $16::int4[], $17::int8[], $18::text[], $19::bool[]) IS NULL
    RETURNING user_id
), ruled AS (
    SELECT j.*, CASE WHEN j.verdict IS NULL AND j.user_id IS NOT NULL AND cardinality($15::text[]) > 0
                          AND j.user_id NOT IN (SELECT user_id FROM reserved)
                     THEN 'capped' ELSE j.verdict END AS ruling
    FROM judged j
), opened AS (
    UPDATE unsettled u
    SET open_number = i.number, open_channel = i.channel, open_provider = i.provider, opened_at = i.at
    FROM ruled i
    WHERE u.id = i.id AND u.epoch = i.epoch AND u.lease IS NOT NULL AND i.ruling IS NULL
      AND (u.open_number IS NULL OR u.open_number = i.number)
    RETURNING u.id, u.epoch
)
SELECT i.id, i.epoch, o.id IS NOT NULL, i.ruling,
       CASE i.ruling WHEN 'suppressed' THEN i.suppression WHEN 'superseded' THEN i.newer WHEN 'paused' THEN i.pause
                     WHEN 'capped' THEN (SELECT full_cap(r.sends, i.day_start, i.message, i.campaign, i.channel,
                         $15::text[], $16::int4[], $17::int8[], $18::text[], $19::bool[])
                         FROM reach r WHERE r.user_id = i.user_id) END
FROM ruled i LEFT JOIN opened o USING (id, epoch)
