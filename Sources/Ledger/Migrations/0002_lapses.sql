-- How often in a row a lease on the delivery lapsed: whoever held it died, or was silent for too long. Closing a lease
-- sets it back. A delivery that kills its workers is known by it.
ALTER TABLE unsettled ADD COLUMN lapses smallint NOT NULL DEFAULT 0;
