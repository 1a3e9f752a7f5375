-- Grain: team and cycle, of the cycles shown.
SELECT team_id, team_name, organisation, cycle_id, cycle_name, key_result_count, closed_count, achieved_count,
       on_track_count, at_risk_count, off_track_count, no_check_in_count, awaiting_close_count,
       attainment_ratio, score_to_date_ratio, on_track_ratio
FROM marts.mart_team_scorecard
WHERE cycle_id = ANY(%(cycle_ids)s)
ORDER BY score_to_date_ratio NULLS FIRST, team_name, team_id
LIMIT 500
