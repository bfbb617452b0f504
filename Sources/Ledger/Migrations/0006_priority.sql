-- The lane of a delivery, so that recovery can say whose turn it takes without reading the decision's text.
ALTER TABLE unsettled ADD COLUMN priority smallint NOT NULL DEFAULT 5;
ALTER TABLE dead_letters ADD COLUMN priority smallint NOT NULL DEFAULT 5;
