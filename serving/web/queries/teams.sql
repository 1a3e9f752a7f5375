-- Grain: one row per team and shown cycle, lowest score first. team_count is the number of rows without the limit.
SELECT team_id, team_name, team_label, organisation, cycle_id, cycle_name, key_result_count, closed_count,
       achieved_count, on_track_count, at_risk_count, off_track_count, no_check_in_count,
       attainment_ratio, score_to_date_ratio, on_track_ratio,
       count(*) OVER () AS team_count
FROM marts.mart_team_scorecard
WHERE cycle_id = ANY(%(cycle_ids)s)
  AND (
      %(visible_organisation_id)s::text IS NULL
      OR team_id IN (
          SELECT team_id FROM marts.dim_team WHERE is_current AND organisation_id = %(visible_organisation_id)s
      )
  )
  AND (%(teams)s::text[] IS NULL OR team_id = ANY(%(teams)s) OR team_name = ANY(%(teams)s))
ORDER BY score_to_date_ratio NULLS FIRST, team_label, team_id, cycle_start
LIMIT %(limit)s
