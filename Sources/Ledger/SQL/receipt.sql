-- Records what is learned of messages that a provider took, once for each key, and draws the consequences.
-- In:  $1 key; which message: $2 provider and $3 its message id (text messages and mails), or $4 decision and $5 number of the
--      attempt; $6 kind, $7 reason, $8 detail or null, $9 time or null for now, $10 the address is dead, $11 it was
--      asked for (arrays, keys unique).
-- Out: one row for each key: 'recorded', 'known' (recorded before) or 'waiting' (its attempt is not on record yet, or a
--      worker holds its delivery: it is in receipts_unmatched); the decision; and the provider, where it is known. Repeating
--      is safe.
WITH given AS (
    SELECT g.*, e.decision AS known
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int4[], $6::text[], $7::text[], $8::text[],
                $9::timestamptz[], $10::bool[], $11::bool[])
        AS g(key, provider, message_id, decision, number, kind, reason, detail, at, is_dead, is_asked)
    LEFT JOIN events e ON e.key = g.key
), matched AS (
    SELECT g.key, g.kind, g.reason, g.detail, coalesce(g.at, now()) AS at, g.is_dead, a.decision, a.number, a.provider
    FROM given g
    CROSS JOIN LATERAL (
        -- Providers begin their ids anew at times: the newest one is meant.
        (SELECT a.decision, a.number, a.provider FROM attempts a
         WHERE a.channel = 'sms' AND a.provider = g.provider AND a.provider_message_id = g.message_id
         ORDER BY a.closed_at DESC LIMIT 1)
        UNION ALL
        -- All attempts at one mail bear one Message-ID.
        (SELECT a.decision, a.number, a.provider FROM attempts a
         WHERE a.channel = 'email' AND a.provider_message_id = g.message_id AND a.provider = g.provider
         ORDER BY a.closed_at DESC LIMIT 1)
        UNION ALL
        (SELECT a.decision, a.number, a.provider FROM attempts a
         WHERE a.decision = g.decision AND a.number = g.number)
        LIMIT 1
    ) a
    WHERE g.known IS NULL
), unended AS (
    -- Locked first: what is read here stays so until the commit.
    SELECT u.id, u.lease, u.step, u.step_attempts, u.waits_for, u.paused_by, u.due_at FROM unsettled u
    WHERE u.id = ANY(ARRAY(SELECT decision FROM matched)) ORDER BY u.id FOR UPDATE
), ended AS (
    SELECT s.id, s.state, s.reason FROM settlements s
    WHERE s.id = ANY(ARRAY(SELECT decision FROM matched)) ORDER BY s.id FOR UPDATE
), ready AS (
    -- Whoever holds a delivery goes by what the ledger said when he took it: nothing changes under his hands. And what
    -- is neither here nor there is on its way from one to the other.
    SELECT m.* FROM matched m LEFT JOIN unended u ON u.id = m.decision LEFT JOIN ended s ON s.id = m.decision
    WHERE s.id IS NOT NULL OR u.id IS NOT NULL AND u.lease IS NULL
), fresh AS (
    INSERT INTO events (decision, at, kind, detail, key)
    SELECT decision, at, 'receipt',
           jsonb_strip_nulls(jsonb_build_object('kind', kind, 'reason', reason, 'attempt', number, 'detail', detail)), key
    FROM ready
    ON CONFLICT (key) WHERE key IS NOT NULL DO NOTHING
    RETURNING key
), news AS (
    SELECT r.decision, r.number, bool_or(r.kind = 'delivered') AS is_delivered, bool_or(r.kind = 'failed') AS has_failed,
           bool_or(r.kind = 'complained') AS is_complaint, bool_or(r.is_dead) AS is_dead,
           -- The last word of those that count.
           (array_agg(r.reason ORDER BY r.kind = 'delivered' DESC, r.kind = 'failed' DESC, r.at DESC))[1] AS reason,
           (array_agg(r.reason ORDER BY r.is_dead DESC, r.kind = 'complained' DESC))[1] AS cause,
           min(r.at) FILTER (WHERE r.kind = 'delivered') AS delivered_at
    FROM ready r JOIN fresh USING (key) GROUP BY r.decision, r.number
), tried AS (
    -- Their newest versions: two receipts for one delivery come one after the other here.
    SELECT a.decision, a.number, a.step, a.verdict, a.channel, a.address_key, a.receipt FROM attempts a
    WHERE a.decision = ANY(ARRAY(SELECT decision FROM news)) ORDER BY a.decision, a.number FOR UPDATE
), told AS (
    SELECT t.*, n.reason, n.cause, n.is_dead, n.is_complaint, n.delivered_at,
           n.has_failed AND NOT n.is_delivered AND t.receipt IS DISTINCT FROM 'delivered' AS fails_now,
           -- What was delivered does not become undelivered.
           CASE WHEN n.is_delivered OR t.receipt = 'delivered' THEN 'delivered'
                WHEN n.has_failed THEN 'failed' ELSE t.receipt END AS receipt_now
    FROM tried t LEFT JOIN news n USING (decision, number)
), marked AS (
    UPDATE attempts a SET receipt = t.receipt_now FROM told t
    WHERE a.decision = t.decision AND a.number = t.number AND t.receipt_now IS DISTINCT FROM t.receipt
), verdicts AS (
    SELECT decision, bool_or(receipt_now = 'delivered') IS TRUE AS is_delivered,
           bool_or(verdict IN ('accepted', 'unknown') AND receipt_now IS DISTINCT FROM 'failed') AS may_have_arrived,
           bool_or(receipt_now = 'delivered' OR verdict = 'accepted' AND receipt_now IS NULL) IS TRUE AS has_sent,
           bool_or(fails_now) IS TRUE AS fails_now,
           max(step) FILTER (WHERE fails_now AND verdict = 'accepted') AS failed_step,
           (array_agg(reason ORDER BY delivered_at IS NOT NULL DESC, number DESC) FILTER (WHERE reason IS NOT NULL))[1]
               AS reason,
           min(delivered_at) AS delivered_at
    FROM told GROUP BY decision
), reached AS (
    -- The goal `delivered`, once.
    INSERT INTO events (decision, at, kind, detail)
    SELECT v.decision, v.delivered_at, 'delivered', '{}' FROM verdicts v
    WHERE v.delivered_at IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM events e WHERE e.decision = v.decision AND e.kind = 'delivered')
), gone AS (
    DELETE FROM unsettled u USING unended r JOIN verdicts v ON v.decision = r.id
    WHERE u.id = r.id AND r.lease IS NULL AND r.waits_for = 'delivered' AND v.is_delivered
    RETURNING u.id, u.epoch, u.step, u.attempts, u.arm, u.propensity, u.policy, u.seed, u.window_ms
), settled AS (
    INSERT INTO settlements (id, epoch, state, reason, step, attempts, arm, propensity, policy, seed, settled_at,
                             closes_at)
    SELECT id, epoch + 1, 'delivered', 'goal.reached', step, attempts, arm, propensity, policy, seed, now(),
           window_end('delivered', 'goal.reached', now(), window_ms) FROM gone
), moved AS (
    -- A step whose message has failed is not waited for.
    UPDATE unsettled u
    SET has_sent = v.has_sent, due_at = CASE WHEN f.is_in_vain THEN now() ELSE u.due_at END,
        look_at = CASE WHEN f.is_in_vain THEN now() ELSE u.look_at END
    FROM unended r JOIN verdicts v ON v.decision = r.id
    CROSS JOIN LATERAL (
        SELECT coalesce(v.failed_step = r.step - 1 AND r.waits_for IS NOT NULL AND r.step_attempts = 0
                        AND r.paused_by IS NULL AND r.due_at > now(), false) AS is_in_vain
    ) f
    WHERE u.id = r.id AND r.lease IS NULL AND NOT (v.is_delivered AND r.waits_for IS NOT DISTINCT FROM 'delivered')
      AND (f.is_in_vain OR u.has_sent <> v.has_sent)
), refined AS (
    UPDATE settlements s SET state = x.state, reason = x.reason
    FROM (
        SELECT e.id, e.state AS earlier, CASE WHEN v.is_delivered THEN 'delivered' ELSE 'failed' END AS state, v.reason
        FROM ended e JOIN verdicts v ON v.decision = e.id
        WHERE CASE WHEN v.is_delivered
                   THEN v.delivered_at IS NOT NULL
                        AND (e.state IN ('sent', 'unknown')
                             OR e.state = 'failed' AND NOT EXISTS (SELECT 1 FROM dead_letters l WHERE l.decision = e.id))
                   -- Whoever followed a link has got the message, whatever his provider says.
                   ELSE v.fails_now AND v.may_have_arrived IS NOT TRUE AND e.state IN ('sent', 'unknown')
                        AND e.reason <> 'goal.reached' END
    ) x
    WHERE s.id = x.id
    RETURNING s.id, x.earlier, x.state, s.closes_at
), counted AS (
    INSERT INTO tallies (slot, state, n)
    SELECT pg_backend_pid() % 64, state, sum(n)
    FROM (SELECT 'delivered' AS state, 1 AS n FROM gone
          UNION ALL SELECT earlier, -1 FROM refined UNION ALL SELECT state, 1 FROM refined) x
    GROUP BY state
    ON CONFLICT (slot, state) DO UPDATE SET n = tallies.n + excluded.n
), due AS (
    -- A complaint counts; what has failed after all ends at once; and what was given as final is looked at again when the
    -- end has changed.
    INSERT INTO reward_due (decision, at)
    SELECT decision, now() FROM news WHERE is_complaint
    UNION SELECT id, now() FROM refined WHERE closes_at IS NULL OR state = 'failed'
    ORDER BY 1
    -- Locked in any case: whoever looks at it now would not see what this statement brings.
    ON CONFLICT (decision) DO UPDATE SET at = least(reward_due.at, excluded.at)
), suppressed AS (
    -- A dead address takes nothing any more; whoever complains gets no marketing.
    INSERT INTO suppressions (channel, address_key, reason, decision, at, kind)
    SELECT DISTINCT ON (channel, address_key) channel, address_key, cause, decision, now(),
           CASE WHEN is_dead THEN 'dead' ELSE 'declined' END
    FROM told WHERE (is_dead OR is_complaint) AND length(address_key) > 0
    ORDER BY channel, address_key, is_dead DESC
    ON CONFLICT (channel, address_key, topic) DO UPDATE SET kind = 'dead', reason = excluded.reason
    WHERE excluded.kind = 'dead' AND suppressions.kind <> 'dead'
), kept AS (
    INSERT INTO receipts_unmatched (key, provider, message_id, decision, number, kind, reason, detail, at, is_dead, is_asked,
                                    since, look_at)
    SELECT g.key, g.provider, g.message_id, g.decision, g.number, g.kind, g.reason, g.detail, coalesce(g.at, now()),
           g.is_dead, g.is_asked, now(), now() + interval '2 seconds'
    FROM given g WHERE g.known IS NULL AND NOT EXISTS (SELECT 1 FROM ready r WHERE r.key = g.key)
    ON CONFLICT (key) DO NOTHING
), cleared AS (
    DELETE FROM receipts_unmatched w USING given g
    WHERE w.key = g.key AND (g.known IS NOT NULL OR EXISTS (SELECT 1 FROM ready r WHERE r.key = g.key))
)
SELECT g.key,
       CASE WHEN g.known IS NOT NULL THEN 'known' WHEN r.key IS NULL THEN 'waiting'
            -- Somebody else recorded it at this very moment.
            WHEN f.key IS NULL THEN 'known' ELSE 'recorded' END,
       coalesce(g.known, r.decision), coalesce(r.provider, g.provider)
FROM given g LEFT JOIN ready r USING (key) LEFT JOIN fresh f USING (key)
