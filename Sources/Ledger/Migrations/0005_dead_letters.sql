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
