-- How a kind stands. In: $1 kind.
-- Out: active, shadow, frozen, changed_at, changed_by; then the newest snapshot as in snapshot_list.sql, or nulls.
SELECT m.active, m.shadow, m.frozen, m.changed_at, m.changed_by,
       s.number, s.made_at, s.made_by, s.trained_from, s.trained_to, s.is_candidate, s.metrics, s.digest, s.size,
       s.body IS NOT NULL
FROM model_state m LEFT JOIN snapshots s ON s.kind = m.kind AND s.number = m.last
WHERE m.kind = $1::text
