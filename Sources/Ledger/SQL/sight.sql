-- Keeps what was seen of tracked messages, once for each source, and has their rewards looked at.
-- In:  $1 decision, or # and 32 digits of the digest of its id, $2 source, $3 attempt, $4 kind, $5 link or null,
--      $6 is hidden, $7 method, $8 time, $9 user agent, $10 network (arrays, sources unique);
--      $11 the most that are kept of each kind for a decision, $12 milliseconds until they are judged.
-- Out: how many were kept. Repeating is safe.
WITH input AS (
    SELECT i.*, row_number() OVER (PARTITION BY i.decision, i.kind ORDER BY i.at, i.source) AS place
    FROM (
        SELECT d.id AS decision, g.source, g.attempt, g.kind, g.link, g.is_hidden, g.method, g.at, g.user_agent, g.network
        FROM unnest($1::text[], $2::text[], $3::int4[], $4::text[], $5::int4[], $6::bool[], $7::text[],
                    $8::timestamptz[], $9::text[], $10::text[])
            AS g(name, source, attempt, kind, link, is_hidden, method, at, user_agent, network)
        CROSS JOIN LATERAL (
            (SELECT id FROM decisions WHERE id = g.name)
            UNION ALL
            (SELECT id FROM decisions
             WHERE g.name ~ '^#[0-9a-f]{32}$' AND length(id) > 42
               AND id_digest(id)
                   = CASE WHEN g.name ~ '^#[0-9a-f]{32}$' THEN decode(substr(g.name, 2), 'hex') END)
            LIMIT 1
        ) d
    ) i
), fresh AS (
    INSERT INTO sightings (decision, source, attempt, kind, link, is_hidden, method, at, user_agent, network)
    SELECT i.decision, i.source, i.attempt, i.kind, i.link, i.is_hidden, i.method, i.at, i.user_agent, i.network
    FROM input i
    LEFT JOIN (
        SELECT decision, kind, count(*) AS n FROM sightings
        WHERE decision = ANY(ARRAY(SELECT decision FROM input)) GROUP BY decision, kind
    ) k USING (decision, kind)
    WHERE i.place + coalesce(k.n, 0) <= $11::int4
    ON CONFLICT (decision, source) DO NOTHING
    RETURNING decision
), due AS (
    INSERT INTO reward_due (decision, at)
    SELECT DISTINCT decision, now() + $12::int4 * interval '1 millisecond' FROM fresh ORDER BY decision
    -- Locked in any case: whoever looks at it now would not see what this statement brings.
    ON CONFLICT (decision) DO UPDATE SET at = least(reward_due.at, excluded.at)
)
SELECT count(*) FROM fresh
