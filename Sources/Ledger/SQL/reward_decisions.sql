-- What rewards are made of: decisions, how they ended, and the revision that was given last. In: $1 ids.
SELECT d.id, d.shard::int4, d.accepted_at, d.body,
       s.state, s.reason, s.settled_at, coalesce(s.arm, u.arm), coalesce(s.propensity, u.propensity),
       coalesce(s.policy, u.policy), coalesce(s.seed, u.seed),
       r.revision, r.state, r.digest, clock_timestamp(), c.body
FROM decisions d LEFT JOIN settlements s USING (id) LEFT JOIN unsettled u USING (id)
LEFT JOIN choices c ON c.decision = d.id
LEFT JOIN LATERAL (
    SELECT revision, state, digest FROM rewards WHERE decision = d.id ORDER BY revision DESC LIMIT 1
) r ON true
WHERE d.id = ANY($1::text[])
