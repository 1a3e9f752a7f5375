-- name: value_matches_raw
-- expect: the value of a check-in is that of the event in raw at its partition and offset
SELECT c.check_in_id, c.value, r.value AS raw_value
FROM {batch} AS c
LEFT JOIN raw.okr_user_events AS e
    ON c.kafka_partition = e.kafka_partition AND c.kafka_offset = e.kafka_offset
CROSS JOIN LATERAL (SELECT (e.data ->> 'value')::float8 AS value) AS r
WHERE e.data ->> 'check_in_id' IS DISTINCT FROM c.check_in_id OR abs(r.value - c.value) > 1e-9 * greatest(1, abs(c.value))

-- name: progress_matches_a_definition
-- expect: progress is (value - baseline) / (target - baseline) for a definition valid at the check-in or earlier
SELECT c.check_in_id, c.progress_ratio, d.baselines, d.targets
FROM {batch} AS c
INNER JOIN LATERAL (
    SELECT
        array_agg(baseline) AS baselines,
        array_agg(target) AS targets,
        min(abs(c.progress_ratio - (c.value - baseline) / (target - baseline))) AS difference
    FROM dim_key_result
    WHERE key_result_id = c.key_result_id AND valid_from <= c.checked_in_at
) AS d ON d.difference > 1e-9 * greatest(1, abs(c.progress_ratio))
