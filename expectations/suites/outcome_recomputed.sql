-- name: final_score_is_that_of_the_closing_check_in
-- expect: the score of a closed key result is the progress of its latest closing check-in, clipped to 0-1
SELECT s.key_result_id, s.cycle_id, s.final_score, f.progress
FROM {batch} AS s
INNER JOIN (
    SELECT DISTINCT ON (key_result_id, counted_cycle_id) key_result_id, counted_cycle_id AS cycle_id, value
    FROM fct_check_in WHERE is_closing
    ORDER BY key_result_id, counted_cycle_id, checked_in_at DESC, logged_at DESC, kafka_partition DESC, kafka_offset DESC
) AS closing ON s.key_result_id = closing.key_result_id AND s.cycle_id IS NOT DISTINCT FROM closing.cycle_id
CROSS JOIN LATERAL (SELECT (closing.value - s.baseline) / (s.target - s.baseline) AS progress) AS f
WHERE abs(s.final_score - least(greatest(f.progress, 0), 1)) > 1e-9

-- name: scorecard_matches_the_last_day
-- expect: the progress of an open key result is that of its last day in fct_key_result_daily
SELECT s.key_result_id, s.progress_ratio, d.progress_ratio AS last_day_progress_ratio
FROM {batch} AS s
INNER JOIN (
    SELECT DISTINCT ON (key_result_id, cycle_id) key_result_id, cycle_id, progress_ratio
    FROM fct_key_result_daily ORDER BY key_result_id, cycle_id, day DESC
) AS d USING (key_result_id, cycle_id)
WHERE s.status IN ('on_track', 'at_risk', 'off_track') AND s.progress_ratio IS DISTINCT FROM d.progress_ratio
