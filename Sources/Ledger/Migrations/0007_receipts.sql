-- What becomes of a message after a provider took it. A receipt names an attempt, or the id that the provider gave.
ALTER TABLE attempts
    -- Keyed hash of the address: what a complaint or a bounce suppresses, without the address.
    ADD COLUMN address_key bytea,
    -- 'delivered' or 'failed', once somebody said so.
    ADD COLUMN receipt text;
-- Text messages are the ones whose receipts come with nothing but the provider's id.
CREATE INDEX attempts_message ON attempts (provider, provider_message_id)
    WHERE channel = 'sms' AND provider_message_id IS NOT NULL;

-- Receipts that cannot be drawn on yet: they came before the record of their attempt, or while a worker held the
-- delivery. Looked at again after twice the time, at first every two seconds, and kept for three days.
CREATE TABLE receipts_unmatched (
    key        text COLLATE "C" PRIMARY KEY,
    provider   text,
    message_id text,
    decision   text COLLATE "C",
    number     integer,
    kind       text        NOT NULL,
    reason     text        NOT NULL,
    detail     text,
    at         timestamptz NOT NULL,
    is_dead    boolean     NOT NULL,
    since      timestamptz NOT NULL,
    look_at    timestamptz NOT NULL
);
CREATE INDEX receipts_unmatched_look_at ON receipts_unmatched (look_at);
