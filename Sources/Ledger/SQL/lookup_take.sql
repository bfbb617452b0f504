-- Takes the messages of one provider that it is to be asked for now: again, and those that it was never asked for. Needs
-- the provider's turn.
-- In:  $1 provider, $2 the most, $3 milliseconds after which a receipt is missed, $4 how often a message is asked for,
--      $5 how many a minute, $6 how far the attempts have been walked, $7 seconds after which nobody asks any more.
-- Out: decision, number, message id, how many times it has been asked for, this one included.
WITH due AS (
    SELECT l.decision, l.number, l.look_at,
           a.decision IS NULL OR a.receipt IS NOT NULL OR l.tries >= $4::int4
           OR a.closed_at < now() - make_interval(secs => $7::int4) AS is_over
    FROM lookups l LEFT JOIN attempts a ON a.decision = l.decision AND a.number = l.number
    WHERE l.provider = $1::text AND l.look_at <= now()
    ORDER BY l.look_at LIMIT 500
), over AS (
    DELETE FROM lookups l USING due d WHERE l.decision = d.decision AND l.number = d.number AND d.is_over
), again AS (
    UPDATE lookups l
    SET tries = l.tries + 1, look_at = now() + $3::int8 * 2 ^ l.tries * interval '1 millisecond'
    FROM (SELECT decision, number FROM due WHERE NOT is_over ORDER BY look_at LIMIT $2::int4) d
    WHERE l.decision = d.decision AND l.number = d.number
    RETURNING l.decision, l.number, l.message_id, l.tries
), walked AS (
    -- `before`: how many earlier ones miss a receipt. Those that were closed at one moment go together.
    -- (EXCLUDE GROUP would say so, too, and count anew for each row.)
    SELECT w.*, count(*) FILTER (WHERE receipt IS NULL) OVER (ORDER BY closed_at)
                - count(*) FILTER (WHERE receipt IS NULL) OVER (PARTITION BY closed_at) AS before
    FROM (
        SELECT a.decision, a.number, a.provider_message_id, a.closed_at, a.receipt FROM attempts a
        WHERE a.channel = 'sms' AND a.verdict = 'accepted' AND a.provider_message_id IS NOT NULL
          AND a.provider = $1::text
          AND a.closed_at > greatest($6::timestamptz, now() - make_interval(secs => $7::int4))
          AND a.closed_at <= now() - $3::int8 * interval '1 millisecond'
        ORDER BY a.closed_at FETCH FIRST 5000 ROWS WITH TIES
    ) w
), room AS (
    SELECT $2::int4 - count(*) AS n FROM again
), entered AS (
    INSERT INTO lookups (decision, number, provider, message_id, tries, look_at)
    SELECT decision, number, $1::text, provider_message_id, 1, now() + $3::int8 * interval '1 millisecond'
    FROM walked, room WHERE receipt IS NULL AND before < room.n
    ON CONFLICT (decision, number) DO NOTHING
    RETURNING decision, number, message_id, tries
), asked AS (
    SELECT * FROM again UNION ALL SELECT * FROM entered
), way AS (
    SELECT max(closed_at) FILTER (WHERE before < room.n) AS last, count(*) FILTER (WHERE before < room.n) AS n,
           count(*) AS all_n
    FROM walked, room
), moved AS (
    -- One that was fully walked is looked at again in a few seconds when there was nobody to ask for.
    UPDATE lookup_turns t
    SET seen_to = CASE WHEN w.n = w.all_n AND w.all_n < 5000
                       THEN greatest(t.seen_to, now() - $3::int8 * interval '1 millisecond')
                       ELSE coalesce(w.last, t.seen_to) END,
        next_at = now() + CASE WHEN a.n > 0 THEN a.n * interval '1 minute' / $5::int4
                               WHEN w.all_n >= 5000 THEN interval '0' ELSE interval '5 seconds' END
    FROM way w, (SELECT count(*) AS n FROM asked) a
    WHERE t.provider = $1::text
)
SELECT decision, number::int4, message_id, tries::int4 FROM asked
