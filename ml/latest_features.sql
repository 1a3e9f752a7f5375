SELECT DISTINCT ON (key_result_id, cycle_id) *
FROM ml.key_result_features
WHERE %(key_result_ids)s::text[] IS NULL OR key_result_id = ANY(%(key_result_ids)s::text[])
ORDER BY key_result_id, cycle_id, as_of DESC
