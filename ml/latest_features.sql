-- Grain: one row per key result and cycle, with the latest feature row and the current unit of the key result.
SELECT
    latest.*,
    key_result.unit
FROM (
    SELECT DISTINCT ON (key_result_id, cycle_id) *
    FROM ml.key_result_features
    WHERE %(key_result_ids)s::text[] IS NULL OR key_result_id = ANY(%(key_result_ids)s::text[])
    ORDER BY key_result_id, cycle_id, as_of DESC
) AS latest
LEFT JOIN marts.dim_key_result AS key_result
    ON latest.key_result_id = key_result.key_result_id AND key_result.is_current
ORDER BY latest.key_result_id, latest.cycle_id
