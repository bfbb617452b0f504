-- The devices that a push step is done with: nine bytes each, eight of the address key and what came of it.
ALTER TABLE unsettled ADD COLUMN devices bytea NOT NULL DEFAULT '';
