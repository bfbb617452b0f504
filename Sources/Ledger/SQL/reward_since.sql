-- The first transaction that gave rewards at or after a moment, by the hour, then by the day, then at all: where reading
-- begins. In: $1 the moment. Out: transaction, or none.
SELECT coalesce(
    (SELECT min(xid::text::numeric) FROM rewards WHERE at >= $1::timestamptz AND at < $1::timestamptz + interval '1 hour'),
    (SELECT min(xid::text::numeric) FROM rewards WHERE at >= $1::timestamptz AND at < $1::timestamptz + interval '1 day'),
    (SELECT min(xid::text::numeric) FROM rewards WHERE at >= $1::timestamptz)
)::text
