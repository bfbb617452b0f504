-- One decision: its acceptance, its open work, its end.
-- In: $1 id. Out: one row, or none when the id was never accepted.
SELECT d.campaign, d.class, d.source, d.shard::int4, d.accepted_at, d.body,
       u.epoch, u.due_at, u.lease, u.lease_until, u.step::int4, u.open_number::int4, u.open_channel, u.open_provider,
       u.opened_at,
       s.state, s.reason, s.step::int4, s.attempts::int4, s.arm, s.propensity, s.policy, s.seed, s.settled_at,
       (SELECT c.body FROM choices c WHERE c.decision = d.id)
FROM decisions d LEFT JOIN unsettled u USING (id) LEFT JOIN settlements s USING (id)
WHERE d.id = $1::text
