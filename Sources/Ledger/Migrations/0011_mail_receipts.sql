-- Mails that are known by their Message-ID alone: what providers report of them over webhooks, and bounces that bring
-- nothing else. Of hashes, which are a third of the ids themselves.
CREATE INDEX attempts_mail ON attempts USING hash (provider_message_id)
    WHERE channel = 'email' AND provider_message_id IS NOT NULL;
