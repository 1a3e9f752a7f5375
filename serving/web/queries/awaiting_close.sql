-- Grain: one row per key result and ended cycle in which it has not been closed, ordered by the end of the cycle. If
-- cycles are requested, others are excluded. Carried-over key results are included (as in mart_team_scorecard).
SELECT key_result_id, title, unit, baseline, target, team_id, team_name, team_label, cycle_id, cycle_name, cycle_end,
       latest_value, latest_check_in_at, progress_ratio, status, is_current_cycle,
       count(*) OVER () AS awaiting_close_count
FROM marts.mart_okr_scorecard
WHERE status = 'awaiting_close'
  AND (%(cycles)s::text[] IS NULL OR cycle_id = ANY(%(cycles)s) OR cycle_name = ANY(%(cycles)s))
  AND (
      %(visible_organisation_id)s::text IS NULL
      OR team_id IN (
          SELECT team_id FROM marts.dim_team WHERE is_current AND organisation_id = %(visible_organisation_id)s
      )
  )
  AND (%(teams)s::text[] IS NULL OR team_id = ANY(%(teams)s) OR team_name = ANY(%(teams)s))
ORDER BY cycle_end, team_label, key_result_id
LIMIT %(limit)s
