-- The devices that a push step is done with: nine bytes each, eight of the address key, then what came of it
-- and how many attempts it took.
ALTER TABLE unsettled ADD COLUMN devices bytea NOT NULL DEFAULT '';
