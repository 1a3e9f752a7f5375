-- Grain: a key result of the cycles shown.
SELECT key_result_id, title, unit, baseline, target, team_id, cycle_id, team_name, organisation, objective_title, cycle_name, cycle_start,
       cycle_end, latest_value, latest_check_in_at, days_since_check_in, progress_ratio, expected_progress_ratio, status,
       is_closed, final_score, is_achieved
FROM marts.mart_okr_scorecard
WHERE cycle_id = ANY(%(cycle_ids)s) AND NOT is_archived
ORDER BY key_result_id
