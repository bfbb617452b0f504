-- What came of it: what people and machines did with messages, and the rewards that follow.

-- The person, by the first eight bytes of the SHA-256 of their id: conversions that name no decision find theirs by it.
ALTER TABLE decisions ADD COLUMN user_key bigint NOT NULL DEFAULT 0;
CREATE INDEX decisions_user ON decisions (user_key, accepted_at) WHERE user_key <> 0;
-- Tokens of decisions whose ids are too long for them carry a digest instead.
CREATE FUNCTION id_digest(id text) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT substr(sha256(convert_to(id, 'UTF8')), 1, 16)
$$;
CREATE INDEX decisions_digest ON decisions (id_digest(id)) WHERE length(id) > 42;
-- Replaced by the key above.
ALTER TABLE unsettled DROP COLUMN waits_user;

-- How long reactions count, in milliseconds: from `decision.reward.window`.
ALTER TABLE unsettled ADD COLUMN window_ms bigint NOT NULL DEFAULT 259200000;
ALTER TABLE dead_letters ADD COLUMN window_ms bigint NOT NULL DEFAULT 259200000;
-- When the window closes; null once the final reward is given, and for what ended before there were rewards.
ALTER TABLE settlements ADD COLUMN closes_at timestamptz;
CREATE INDEX settlements_closes_at ON settlements (closes_at) WHERE closes_at IS NOT NULL;

-- What was never sent has no window: nothing can come of it. A holdout is watched like one that was sent.
CREATE FUNCTION window_end(state text, reason text, settled_at timestamptz, window_ms bigint)
RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT settled_at + CASE WHEN state IN ('sent', 'delivered', 'unknown') OR reason = 'holdout'
                             THEN window_ms ELSE 0 END * interval '1 millisecond'
$$;

-- Requests that something made for a tracked message, raw. `source` is the stream entry that brought it.
CREATE TABLE sightings (
    decision   text COLLATE "C" NOT NULL,
    source     text COLLATE "C" NOT NULL,
    attempt    smallint    NOT NULL,
    kind       text        NOT NULL,
    link       smallint,
    is_hidden  boolean     NOT NULL,
    method     text        NOT NULL,
    at         timestamptz NOT NULL,
    user_agent text        NOT NULL,
    network    text        NOT NULL,
    PRIMARY KEY (decision, source)
);

-- Decisions whose reward is to be looked at, because something came.
CREATE TABLE reward_due (
    decision text COLLATE "C" PRIMARY KEY,
    at       timestamptz NOT NULL
);
CREATE INDEX reward_due_at ON reward_due (at);

-- Every revision of every reward, as it is given to the engine. Never updated.
CREATE TABLE rewards (
    decision text COLLATE "C" NOT NULL,
    revision integer     NOT NULL,
    shard    smallint    NOT NULL,
    -- Together they are the entry's id in the stream: in the order of commits, and the same whoever appends it.
    xid      xid8        NOT NULL DEFAULT pg_current_xact_id(),
    place    integer     NOT NULL,
    at       timestamptz NOT NULL DEFAULT now(),
    state    text        NOT NULL,
    reward   float8      NOT NULL,
    -- Of what the reward says, without its revision and state: tells whether something changed.
    digest   bytea       NOT NULL,
    body     bytea       NOT NULL,
    PRIMARY KEY (decision, revision)
);
CREATE INDEX rewards_order ON rewards (shard, xid, place);

-- How far the rewards of each shard are in its stream, and who is appending them.
CREATE TABLE reward_streams (
    shard smallint PRIMARY KEY,
    xid   xid8     NOT NULL DEFAULT '0',
    place integer  NOT NULL DEFAULT 0
);
CREATE TABLE leases (
    name   text PRIMARY KEY,
    holder text        NOT NULL,
    until  timestamptz NOT NULL
);

-- Destinations of short links, for text messages.
CREATE TABLE short_links (
    code     text COLLATE "C" PRIMARY KEY,
    decision text COLLATE "C" NOT NULL,
    attempt  smallint NOT NULL,
    link     smallint NOT NULL,
    url      text     NOT NULL
);

-- Keys that tracking tokens are made with, the newest first; those before it are still good for checking.
CREATE TABLE tracking_keys (
    id      smallint PRIMARY KEY CHECK (id BETWEEN 0 AND 255),
    secret  bytea       NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO tracking_keys (id, secret, made_at) VALUES (
    1, decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'), '-infinity'
);
