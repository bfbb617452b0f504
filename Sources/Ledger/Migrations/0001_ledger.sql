-- The ledger: what is true. Accepted decisions, what is still to be done about them, what was tried,
-- and how each one ended. decisions = settlements + unsettled, at every commit.

-- Fleet-wide secrets and facts, made once.
CREATE TABLE fleet (
    name  text PRIMARY KEY,
    value bytea NOT NULL
);
-- Key of the hash under which addresses are suppressed, so that the table names nobody.
INSERT INTO fleet VALUES (
    'address_key',
    decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')
);

-- Every decision that was accepted, as its producer wrote it. Never updated.
CREATE TABLE decisions (
    id          text COLLATE "C" PRIMARY KEY,
    shard       smallint    NOT NULL,
    campaign    text        NOT NULL,
    class       text        NOT NULL,
    -- The stream entry or the HTTP request that brought it: the same source again is the same arrival.
    source      text        NOT NULL,
    accepted_at timestamptz NOT NULL,
    body        bytea       NOT NULL
);

-- One row for each delivery that has no terminal state yet; deleted when it is settled.
CREATE TABLE unsettled (
    id            text COLLATE "C" PRIMARY KEY,
    shard         smallint    NOT NULL,
    -- Fencing token: rises with each claim.
    epoch         integer     NOT NULL,
    due_at        timestamptz NOT NULL,
    -- When recovery looks at this row, should nobody have moved it by then.
    look_at       timestamptz NOT NULL,
    lease         text,
    lease_until   timestamptz,
    step          smallint    NOT NULL DEFAULT 0,
    attempts      smallint    NOT NULL DEFAULT 0,
    step_attempts smallint    NOT NULL DEFAULT 0,
    has_sent      boolean     NOT NULL DEFAULT false,
    -- The attempt that is on the wire, recorded before its first byte left.
    open_number   smallint,
    open_channel  text,
    open_provider text,
    opened_at     timestamptz
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
-- Only look_at is indexed beside the key: leasing and opening stay heap-only updates.
CREATE INDEX unsettled_look_at ON unsettled (look_at);

-- Attempts and what came of them. An attempt that is still open is in unsettled.
CREATE TABLE attempts (
    decision            text COLLATE "C" NOT NULL,
    number              smallint    NOT NULL,
    epoch               integer     NOT NULL,
    step                smallint    NOT NULL,
    channel             text        NOT NULL,
    provider            text        NOT NULL,
    opened_at           timestamptz NOT NULL,
    closed_at           timestamptz NOT NULL,
    verdict             text        NOT NULL,
    reason              text        NOT NULL,
    detail              text,
    provider_message_id text,
    PRIMARY KEY (decision, number)
);

-- How each delivery ended: exactly one row for each decision, once it has ended.
CREATE TABLE settlements (
    id         text COLLATE "C" PRIMARY KEY,
    epoch      integer     NOT NULL,
    state      text        NOT NULL,
    reason     text        NOT NULL,
    step       smallint    NOT NULL,
    attempts   smallint    NOT NULL,
    arm        text,
    propensity double precision,
    policy     text,
    seed       bigint,
    settled_at timestamptz NOT NULL
);

-- The rest of the trail: rests, late outcomes, cancellations, and what recipients did.
CREATE TABLE events (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    decision text COLLATE "C" NOT NULL,
    at       timestamptz NOT NULL,
    kind     text        NOT NULL,
    detail   jsonb       NOT NULL DEFAULT '{}'
);
CREATE INDEX events_decision ON events (decision);

-- Addresses that must not be used, by keyed hash.
CREATE TABLE suppressions (
    channel     text        NOT NULL,
    address_key bytea       NOT NULL,
    reason      text        NOT NULL,
    decision    text        NOT NULL,
    at          timestamptz NOT NULL,
    PRIMARY KEY (channel, address_key)
);

-- Running counts of accepted and settled, kept in the same transaction as the rows that they count.
-- Spread over slots so that concurrent commits do not wait for one row.
CREATE TABLE tallies (
    slot  smallint NOT NULL,
    state text     NOT NULL,
    n     bigint   NOT NULL,
    PRIMARY KEY (slot, state)
) WITH (fillfactor = 50);
