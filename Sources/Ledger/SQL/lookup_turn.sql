-- Takes one provider's turn of being asked; it is locked until the commit.
-- In:  $1 provider, $2 seconds: how far back its attempts are walked when it is new here.
-- Out: how far they have been walked; no row when it is not its time, somebody else has it, or it is new here.
WITH made AS (
    INSERT INTO lookup_turns (provider, seen_to, next_at) VALUES ($1::text, now() - make_interval(secs => $2::int4), now())
    ON CONFLICT (provider) DO NOTHING
)
SELECT seen_to FROM lookup_turns WHERE provider = $1::text AND next_at <= now() FOR UPDATE SKIP LOCKED
