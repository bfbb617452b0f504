-- Who may be reached: consent, suppression by topic, pauses, and the messages that caps count. All of it is read and
-- reserved in the statement that opens an attempt, so that nothing lies between the question and the deed.

-- What a person said yes or no to. '' stands for any channel, any topic; the narrowest that fits decides.
CREATE TABLE consents (
    user_id text COLLATE "C" NOT NULL,
    channel text        NOT NULL DEFAULT '',
    topic   text        NOT NULL DEFAULT '',
    granted boolean     NOT NULL,
    source  text        NOT NULL,
    at      timestamptz NOT NULL,
    PRIMARY KEY (user_id, channel, topic)
);

-- 'dead' addresses take nothing at all; 'declined' ones no marketing, or none about a topic.
ALTER TABLE suppressions ADD COLUMN kind text NOT NULL DEFAULT 'dead', ADD COLUMN topic text NOT NULL DEFAULT '';
ALTER TABLE suppressions DROP CONSTRAINT suppressions_pkey, ADD PRIMARY KEY (channel, address_key, topic);

-- What is held back for the time being: 'all', 'channel:sms', 'provider:twilio', 'campaign:welcome', 'class:marketing'.
CREATE TABLE pauses (
    scope  text COLLATE "C" PRIMARY KEY,
    reason text        NOT NULL,
    at     timestamptz NOT NULL
);
-- The pause that a delivery rests for. Resuming makes it due.
ALTER TABLE unsettled ADD COLUMN paused_by text COLLATE "C";
CREATE INDEX unsettled_paused_by ON unsettled (paused_by) WHERE paused_by IS NOT NULL;

-- What a person's addresses and zone are, for decisions that leave them out.
CREATE TABLE profiles (
    user_id    text COLLATE "C" PRIMARY KEY,
    body       bytea       NOT NULL,
    updated_at timestamptz NOT NULL
);

-- The marketing messages that a person got or may have got: what caps are counted over. One row for each person, so
-- that two workers at the same person meet at it.
CREATE TYPE reached AS (at timestamptz, campaign text, channel text, message text);
CREATE TABLE reach (
    user_id   text COLLATE "C" PRIMARY KEY,
    -- When the day began that the newest message lies in, by the person's own clock.
    day_start timestamptz NOT NULL,
    sends     reached[]   NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

-- The name of the first cap that leaves no room for one more message, or null.
-- A cap: its name, the most messages, the length of its window in seconds (null: the person's day), and what it counts:
-- one channel or all, each campaign by itself or all together.
CREATE FUNCTION full_cap(
    sends reached[], day_start timestamptz, own_message text, own_campaign text, own_channel text,
    names text[], most int4[], seconds int8[], channels text[], by_campaign bool[]
) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT c.name
    FROM unnest(names, most, seconds, channels, by_campaign) AS c(name, most, seconds, channel, by_campaign)
    WHERE (c.channel IS NULL OR c.channel = own_channel)
      AND (SELECT count(*) FROM unnest(sends) s
           WHERE s.message <> own_message AND (c.channel IS NULL OR s.channel = c.channel)
             AND (NOT c.by_campaign OR s.campaign = own_campaign)
             AND s.at >= CASE WHEN c.seconds IS NULL THEN day_start ELSE now() - c.seconds * interval '1 second' END
          ) >= c.most
    LIMIT 1
$$;

-- `sends` with one more, without what no cap looks at any more.
CREATE FUNCTION reached_too(sends reached[], one reached, keep_seconds int8) RETURNS reached[] LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT array_agg(ROW(s.at, s.campaign, s.channel, s.message)::reached ORDER BY s.at)
                     FROM unnest(sends) s
                     WHERE s.message <> one.message AND s.at > now() - keep_seconds * interval '1 second'),
                    '{}') || one
$$;
