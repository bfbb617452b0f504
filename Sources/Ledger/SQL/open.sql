-- Records that attempts are about to be made, if the fencing token still holds, the address is not suppressed, and no
-- newer decision has the same `supersedes` key.
-- In:  $1 id, $2 epoch, $3 number, $4 channel, $5 provider, $6 address key, $7 time (arrays).
-- Out: one row for each id and epoch: opened?, the reason of a suppression or null, the newer decision or null.
-- Repeating is safe: only the holder of this epoch can have opened this number.
WITH input AS (
    SELECT i.*, s.reason AS suppression, p.decision AS newer
    FROM unnest($1::text[], $2::int4[], $3::int4[], $4::text[], $5::text[], $6::bytea[], $7::timestamptz[])
        AS i(id, epoch, number, channel, provider, address_key, at)
    LEFT JOIN suppressions s ON s.channel = i.channel AND s.address_key = i.address_key
    LEFT JOIN unsettled w ON w.id = i.id AND w.epoch = i.epoch AND NOT w.has_sent
    LEFT JOIN supersessions p ON p.key = w.supersedes AND (p.rank, p.decision) > (w.rank, w.id)
), opened AS (
    UPDATE unsettled u
    SET open_number = i.number, open_channel = i.channel, open_provider = i.provider, opened_at = i.at
    FROM input i
    WHERE u.id = i.id AND u.epoch = i.epoch AND u.lease IS NOT NULL AND i.suppression IS NULL AND i.newer IS NULL
      AND (u.open_number IS NULL OR u.open_number = i.number)
    RETURNING u.id, u.epoch
)
SELECT i.id, i.epoch, o.id IS NOT NULL, i.suppression, i.newer FROM input i LEFT JOIN opened o USING (id, epoch)
