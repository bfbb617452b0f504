-- Receipts that have to be asked for, and feedback that went quiet.

-- What each provider accepted, in order: walked once, some minutes behind. The mark that a receipt leaves is not in it, so
-- that leaving it stays a heap-only update.
CREATE INDEX attempts_accepted ON attempts (provider, closed_at)
    WHERE channel = 'sms' AND verdict = 'accepted' AND provider_message_id IS NOT NULL;

-- Messages that their providers are asked for, since no receipt came.
CREATE TABLE lookups (
    decision   text COLLATE "C" NOT NULL,
    number     smallint    NOT NULL,
    provider   text        NOT NULL,
    message_id text        NOT NULL,
    tries      smallint    NOT NULL,
    look_at    timestamptz NOT NULL,
    PRIMARY KEY (decision, number)
);
CREATE INDEX lookups_look_at ON lookups (provider, look_at);

-- How far each provider's attempts have been walked, and when it may be asked next, by whichever process.
CREATE TABLE lookup_turns (
    provider text PRIMARY KEY,
    seen_to  timestamptz NOT NULL,
    next_at  timestamptz NOT NULL
);

-- That we had to ask for it: it does not show that the provider brings receipts.
ALTER TABLE receipts_unmatched ADD COLUMN is_asked boolean NOT NULL DEFAULT false;

-- What each provider accepted and what it told by itself, in slots of five minutes, over all processes.
CREATE TABLE feedback (
    provider text        NOT NULL,
    slot     timestamptz NOT NULL,
    accepted bigint      NOT NULL,
    receipts bigint      NOT NULL,
    PRIMARY KEY (provider, slot)
);
