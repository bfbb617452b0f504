-- The marketing messages that people got or may have got of late. In: $1 users. Out: user, at, campaign, channel.
SELECT r.user_id, s.at, s.campaign, s.channel FROM reach r, unnest(r.sends) s WHERE r.user_id = ANY($1::text[])
