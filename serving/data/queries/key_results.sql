-- Grain: a key result as it stands now, a page of them in the order of their ids, one more than asked for.
SELECT key_result_id, organisation, team_id, team_name, cycle_id, cycle_name, cycle_start, cycle_end,
       objective_id, objective_title, title, unit, direction, baseline, target, weight,
       latest_value, latest_check_in_at, latest_confidence, check_in_count, days_since_check_in,
       progress_ratio, score_ratio, expected_progress_ratio, pace_ratio, status, status_since,
       is_closed, final_at, final_value, final_score, is_achieved
FROM marts.mart_okr_scorecard
WHERE (%(team)s::text IS NULL OR team_id = %(team)s OR team_name = %(team)s)
  AND (%(cycle)s::text IS NULL AND is_current_cycle OR cycle_id = %(cycle)s)
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(after)s::text IS NULL OR key_result_id COLLATE "C" > %(after)s)
ORDER BY key_result_id COLLATE "C"
LIMIT %(limit)s + 1
