-- Work set aside for a person: deliveries that ended as `failed`, and that trying again may mend. Written in the
-- statement that settles the delivery; deleted when somebody has it retried, or discards it.
CREATE TABLE dead_letters (
    decision   text COLLATE "C" PRIMARY KEY,
    at         timestamptz NOT NULL,
    reason     text        NOT NULL,
    campaign   text        NOT NULL,
    class      text        NOT NULL,
    -- Null where it never came as far as a step, or as a provider.
    channel    text,
    provider   text,
    step       smallint    NOT NULL,
    attempts   smallint    NOT NULL,
    -- As they were in `unsettled`: a delivery that is taken up again can still be superseded.
    supersedes text COLLATE "C",
    rank       bigint
);
-- Lists and batches go from the oldest on.
CREATE INDEX dead_letters_at ON dead_letters (at, decision);

-- What a delivery rests for: the goal of the step that was sent, so that reaching it ends the delivery at once. The user
-- is there for conversions that name no decision.
ALTER TABLE unsettled
    ADD COLUMN waits_for text, ADD COLUMN waits_user text COLLATE "C",
    -- How the plan was chosen: whoever ends the delivery between two steps does not know the plan.
    ADD COLUMN arm text, ADD COLUMN propensity double precision, ADD COLUMN policy text, ADD COLUMN seed bigint;
-- Leasing and opening touch none of these, and stay heap-only updates.
CREATE INDEX unsettled_waits_user ON unsettled (waits_user) WHERE waits_user IS NOT NULL;

-- The name under which noting an event twice notes it once; null for what the fleet says itself.
ALTER TABLE events ADD COLUMN key text COLLATE "C";
CREATE UNIQUE INDEX events_key ON events (key) WHERE key IS NOT NULL;
