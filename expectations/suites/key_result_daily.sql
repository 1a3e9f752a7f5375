-- name: day_is_unique
-- expect: a key result has a day once
SELECT key_result_id, day, count(*) AS times
FROM {batch} GROUP BY key_result_id, day HAVING count(*) > 1 OR key_result_id IS NULL OR day IS NULL

-- name: key_result_exists
-- expect: each key result of a day is in dim_key_result
SELECT DISTINCT key_result_id FROM {batch}
EXCEPT
SELECT key_result_id FROM dim_key_result WHERE is_current

-- name: no_day_is_missing
-- expect: in a cycle days follow one another without a gap, but for key results that were archived or elsewhere meanwhile
SELECT key_result_id, cycle_id, first_day, last_day, days
FROM (
    SELECT key_result_id, cycle_id, min(day) AS first_day, max(day) AS last_day, count(*) AS days
    FROM {batch} GROUP BY key_result_id, cycle_id
) AS run
LEFT JOIN (
    SELECT key_result_id, count(DISTINCT cycle_id) AS cycles, bool_or(is_archived) AS was_archived
    FROM int_key_result_placement GROUP BY key_result_id
) AS placed USING (key_result_id)
WHERE days <> last_day - first_day + 1 AND cycles = 1 AND NOT was_archived

-- name: score_is_a_share
-- expect: score and expected progress are 0-1
SELECT key_result_id, day, score_ratio, expected_progress_ratio
FROM {batch}
WHERE score_ratio NOT BETWEEN 0 AND 1 OR expected_progress_ratio NOT BETWEEN 0 AND 1

-- name: nothing_after_the_data
-- expect: no day is later than the data
SELECT key_result_id, day, data_as_of
FROM {batch} AS built CROSS JOIN int_data_as_of
WHERE day > (data_as_of AT TIME ZONE 'UTC')::date
