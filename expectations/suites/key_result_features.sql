-- name: nothing_after_the_data
-- expect: no row has an as_of later than data_as_of
SELECT key_result_id, as_of, known_at, data_as_of
FROM {batch} AS built CROSS JOIN int_data_as_of
WHERE as_of > data_as_of

-- name: nothing_after_the_outcome
-- expect: every as_of is earlier than the time at which the key result was closed in that cycle
SELECT f.key_result_id, f.as_of, k.final_at
FROM {batch} AS f
INNER JOIN int_key_result_cycle AS k USING (key_result_id, cycle_id)
WHERE f.as_of >= k.final_at

-- name: key_result_exists
-- expect: each key result is in the scorecard
SELECT DISTINCT key_result_id FROM {batch}
EXCEPT
SELECT key_result_id FROM mart_okr_scorecard
