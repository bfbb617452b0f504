-- Several providers on a channel: which one to avoid next, and how likely the choice was.

-- The provider at which the last attempt at this step failed by the provider's own fault.
ALTER TABLE unsettled ADD COLUMN avoids text;
-- With what probability the provider of an attempt was chosen; null where a crash left it unknown.
ALTER TABLE attempts ADD COLUMN propensity double precision;
