-- How a decision's arm and slot were chosen: `martlet.choice/1`. Never updated.
CREATE TABLE choices (
    decision text COLLATE "C" PRIMARY KEY,
    made_at  timestamptz NOT NULL DEFAULT now(),
    body     bytea       NOT NULL
);
