-- Grain: team and cycle.
SELECT team_id, team_name, team_label, organisation, cycle_id, cycle_name, cycle_start, cycle_end,
       key_result_count, closed_count, achieved_count, missed_count, on_track_count, at_risk_count, off_track_count,
       no_check_in_count, awaiting_close_count, not_started_count, no_cycle_count,
       attainment_ratio, achieved_ratio, on_track_ratio, score_to_date_ratio
FROM marts.mart_team_scorecard
WHERE (%(teams)s::text[] IS NULL OR team_id = ANY(%(teams)s) OR team_name = ANY(%(teams)s))
  AND (%(cycles)s::text[] IS NULL OR cycle_id = ANY(%(cycles)s) OR cycle_name = ANY(%(cycles)s))
ORDER BY cycle_start DESC NULLS LAST, organisation, team_label, team_id
LIMIT 5000
