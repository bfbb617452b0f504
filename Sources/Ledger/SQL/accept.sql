-- Accepts new decisions, and opens the first attempts of those that go out at once and may.
-- In:  $1 id, $2 shard, $3 campaign, $4 class, $5 source, $6 body, $7 due_at, $8 lease or null (arrays, ids unique);
--      $9 lease seconds, $10 horizon seconds;
--      $11 channel, $12 provider, $13 address key, $14 time of the attempt to open (null where there is none),
--      $15 supersedes key or null, $16 rank,
--      $17 person whose consent and caps count or null, $18 topic, $19 start of the person's day, $20 message (arrays);
--      $21 channels that need consent; caps: $22 names, $23 most, $24 seconds or null, $25 channel or null,
--      $26 by campaign (arrays); $27 seconds for which messages are kept for caps;
--      $28 priority, $29 key of the user, $30 milliseconds for which reactions count,
--      $31 what was chosen for it or null (arrays).
-- Out: (id, accepted_at, what keeps it from being sent or null, its reason) of those that are new. The others were
--      accepted before.
WITH held AS (
    SELECT array_agg(scope) AS scopes FROM pauses
), input AS (
    SELECT i.*, s.reason AS suppression, c.granted,
           CASE WHEN (p.rank, p.decision) > (i.rank, i.id COLLATE "C") THEN p.decision END AS newer,
           CASE WHEN h.scopes IS NOT NULL THEN
               (SELECT min(scope) FROM unnest(h.scopes) AS scope
                WHERE scope IN ('all', 'class:' || i.class, 'campaign:' || i.campaign, 'channel:' || i.channel,
                                'provider:' || i.provider)) END AS pause
    FROM unnest($1::text[], $2::int4[], $3::text[], $4::text[], $7::timestamptz[], $8::text[], $11::text[],
                $12::text[], $13::bytea[], $14::timestamptz[], $15::text[], $16::int8[], $17::text[], $18::text[],
                $19::timestamptz[], $20::text[], $28::int4[], $30::int8[])
        AS i(id, shard, campaign, class, due_at, lease, channel, provider, address_key, opened_at, supersedes, rank,
             user_id, topic, day_start, message, priority, window_ms)
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
    LEFT JOIN supersessions p ON p.key = i.supersedes
), fresh AS (
    INSERT INTO decisions (id, shard, campaign, class, source, accepted_at, body, user_key)
    -- Bodies go straight to their table: what is judged below is copied from step to step.
    SELECT id, shard, campaign, class, source, now(), body, user_key
    FROM unnest($1::text[], $2::int4[], $3::text[], $4::text[], $5::text[], $6::bytea[], $29::int8[])
        AS i(id, shard, campaign, class, source, body, user_key)
    ON CONFLICT (id) DO NOTHING
    RETURNING id, accepted_at
), chosen AS (
    INSERT INTO choices (decision, made_at, body)
    SELECT f.id, now(), i.choice
    FROM unnest($1::text[], $31::bytea[]) AS i(id, choice) JOIN fresh f USING (id) WHERE i.choice IS NOT NULL
), judged AS (
    SELECT i.*, f.accepted_at,
           CASE WHEN i.channel IS NULL THEN 'rests' WHEN i.newer IS NOT NULL THEN 'superseded'
                WHEN i.suppression IS NOT NULL THEN 'suppressed' WHEN NOT i.granted THEN 'withdrawn'
                WHEN i.granted IS NULL AND i.user_id IS NOT NULL AND i.channel = ANY ($21::text[]) THEN 'not_given'
                WHEN i.pause IS NOT NULL THEN 'paused' END AS verdict
    FROM input i JOIN fresh f USING (id)
), reserved AS (
    -- The caller puts no person twice into a group. In order, so that two groups do not wait for each other.
    INSERT INTO reach AS r (user_id, day_start, sends)
    SELECT j.user_id, j.day_start, ARRAY[ROW(now(), j.campaign, j.channel, j.message)::reached]
    FROM judged j WHERE j.verdict IS NULL AND j.user_id IS NOT NULL AND cardinality($22::text[]) > 0
    ORDER BY j.user_id
    ON CONFLICT (user_id) DO UPDATE
    SET day_start = excluded.day_start, sends = reached_too(r.sends, excluded.sends[1], $27::int8)
    WHERE full_cap(r.sends, excluded.day_start, (excluded.sends[1]).message, (excluded.sends[1]).campaign,
                   (excluded.sends[1]).channel, $22::text[], $23::int4[], $24::int8[], $25::text[], $26::bool[]) IS NULL
    RETURNING user_id
), new AS (
    SELECT j.*, CASE WHEN j.verdict IS NULL AND j.user_id IS NOT NULL AND cardinality($22::text[]) > 0
                          AND j.user_id NOT IN (SELECT user_id FROM reserved)
                     THEN 'capped' ELSE j.verdict END AS ruling
    FROM judged j
), work AS (
    INSERT INTO unsettled (id, shard, epoch, due_at, look_at, lease, lease_until,
                           open_number, open_channel, open_provider, opened_at, supersedes, rank,
                           priority, window_ms)
    SELECT n.id, n.shard, CASE WHEN n.lease IS NULL THEN 0 ELSE 1 END, n.due_at,
           CASE WHEN n.lease IS NOT NULL THEN now() + make_interval(secs => $9::int4 + 10)
                WHEN n.due_at > now() + make_interval(secs => $10::int4) THEN n.due_at - make_interval(secs => $10::int4)
                ELSE greatest(n.due_at, now()) + interval '1 minute' END,
           n.lease, CASE WHEN n.lease IS NOT NULL THEN now() + make_interval(secs => $9::int4) END,
           CASE WHEN n.ruling IS NULL THEN 1 END, CASE WHEN n.ruling IS NULL THEN n.channel END,
           CASE WHEN n.ruling IS NULL THEN n.provider END, CASE WHEN n.ruling IS NULL THEN n.opened_at END,
           n.supersedes, n.rank, n.priority, n.window_ms
    FROM new n
), newest AS (
    -- The caller puts no key twice into a group.
    INSERT INTO supersessions (key, decision, rank, at)
    SELECT n.supersedes, n.id, n.rank, now() FROM new n WHERE n.supersedes IS NOT NULL AND n.newer IS NULL
    ON CONFLICT (key) DO UPDATE SET decision = excluded.decision, rank = excluded.rank, at = excluded.at
    WHERE (supersessions.rank, supersessions.decision) < (excluded.rank, excluded.decision)
), too_late AS (
    -- The one before it may be on the wire, or sent: then it stays so, and that is said.
    INSERT INTO events (decision, at, kind, detail)
    SELECT n.id, now(), 'supersedes_too_late', jsonb_build_object('decision', p.decision)
    FROM (SELECT id, supersedes FROM new WHERE supersedes IS NOT NULL AND newer IS NULL) n
    JOIN supersessions p ON p.key = n.supersedes
    LEFT JOIN unsettled u ON u.id = p.decision LEFT JOIN settlements s ON s.id = p.decision
    WHERE p.decision <> n.id
      AND (u.open_number IS NOT NULL OR u.has_sent OR s.state IN ('sent', 'delivered', 'unknown'))
), counted AS (
    INSERT INTO tallies (slot, state, n)
    SELECT pg_backend_pid() % 64, 'accepted', count(*) FROM fresh HAVING count(*) > 0
    ON CONFLICT (slot, state) DO UPDATE SET n = tallies.n + excluded.n
)
SELECT n.id, n.accepted_at, n.ruling,
       CASE n.ruling WHEN 'suppressed' THEN n.suppression WHEN 'superseded' THEN n.newer WHEN 'paused' THEN n.pause
                     WHEN 'capped' THEN (SELECT full_cap(r.sends, n.day_start, n.message, n.campaign, n.channel,
                         $22::text[], $23::int4[], $24::int8[], $25::text[], $26::bool[])
                         FROM reach r WHERE r.user_id = n.user_id) END
FROM new n
