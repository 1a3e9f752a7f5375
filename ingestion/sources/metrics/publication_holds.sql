-- Grain: one reason why publications are on hold. The sentence in `because` may quote events and is not read.
SELECT
    kind,
    coalesce(gate, '') AS gate,
    max(runs_held) AS runs,
    extract(EPOCH FROM min(held_since)) AS since_timestamp_seconds
FROM ops.publication_hold
GROUP BY kind, coalesce(gate, '')
