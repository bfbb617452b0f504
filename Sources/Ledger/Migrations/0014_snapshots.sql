-- What was learned, as numbered snapshots, and which of them is in use.

-- How often a lease has gone to somebody else: what is written under an older one comes too late.
ALTER TABLE leases ADD COLUMN epoch bigint NOT NULL DEFAULT 1;

-- Never updated, but for old bodies that are let go.
CREATE TABLE snapshots (
    kind         text        NOT NULL,
    number       integer     NOT NULL,
    made_at      timestamptz NOT NULL DEFAULT now(),
    made_by      text        NOT NULL,
    trained_from timestamptz NOT NULL,
    trained_to   timestamptz NOT NULL,
    -- Whether it did not come into use when it was made.
    is_candidate boolean     NOT NULL,
    metrics      jsonb       NOT NULL,
    digest       bytea       NOT NULL,
    size         integer     NOT NULL,
    body         bytea,
    PRIMARY KEY (kind, number)
);
-- Bodies are read rarely and written once; what is in them hardly shrinks.
ALTER TABLE snapshots ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX snapshots_kept ON snapshots (kind, number) WHERE body IS NOT NULL;

CREATE TABLE model_state (
    kind       text    PRIMARY KEY,
    -- The last number that was given: none is given twice.
    last       integer NOT NULL DEFAULT 0,
    active     integer,
    shadow     integer,
    -- Whether the active one stays whatever is published.
    frozen     boolean NOT NULL DEFAULT false,
    changed_at timestamptz,
    changed_by text
);
INSERT INTO model_state (kind) VALUES ('rhythm'), ('arms');

-- What people did.
CREATE TABLE model_changes (
    kind   text        NOT NULL,
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    by     text        NOT NULL,
    what   text        NOT NULL,
    -- The number that the change names, and those in use before and after.
    target integer,
    before integer,
    after  integer,
    reason text        NOT NULL
);
CREATE INDEX model_changes_at ON model_changes (kind, at);
