-- What was chosen for decisions that leave something to choose, and from what: `martlet.choice/1`. Never updated.
CREATE TABLE choices (
    decision text COLLATE "C" PRIMARY KEY,
    made_at  timestamptz NOT NULL,
    body     bytea       NOT NULL
);
