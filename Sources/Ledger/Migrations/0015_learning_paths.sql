-- Ways to what learning reads: rewards by time (they are written in its order, so a few bytes for many of them will do), and
-- sends of arms that wait for reactions.
CREATE INDEX rewards_at ON rewards USING brin (at) WITH (pages_per_range = 32);
CREATE INDEX settlements_arms ON settlements (closes_at) WHERE closes_at IS NOT NULL AND arm IS NOT NULL;
