-- The newest decision of each `supersedes` key that was accepted. An older one that has not been sent finds it in the
-- step that would open its attempt, and ends there.
CREATE TABLE supersessions (
    key      text COLLATE "C" PRIMARY KEY,
    decision text COLLATE "C" NOT NULL,
    -- When it was appended or posted: what was appended later is newer, whenever it is accepted. Of two in the same
    -- moment the id decides, so that there is always one that is newest.
    rank     bigint      NOT NULL,
    at       timestamptz NOT NULL
);
ALTER TABLE unsettled ADD COLUMN supersedes text COLLATE "C", ADD COLUMN rank bigint;
