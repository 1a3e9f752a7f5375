-- Grain: one row per key result and shown cycle, with the cycle from which the key result was carried over.
SELECT scorecard.key_result_id, scorecard.title, scorecard.unit, scorecard.baseline, scorecard.target, scorecard.team_id,
       scorecard.cycle_id, scorecard.team_name, scorecard.team_label, scorecard.organisation, scorecard.objective_title,
       scorecard.cycle_name, scorecard.cycle_start, scorecard.cycle_end, scorecard.latest_value,
       scorecard.latest_check_in_at, scorecard.days_since_check_in, scorecard.check_in_count, scorecard.progress_ratio,
       scorecard.expected_progress_ratio, scorecard.status, scorecard.status_since, scorecard.is_closed,
       scorecard.is_current_cycle, scorecard.is_archived, scorecard.archived_reason, scorecard.final_score, scorecard.is_achieved,
       before.cycle_name AS before_cycle_name, before.status AS before_status, before.final_score AS before_final_score
FROM marts.mart_okr_scorecard AS scorecard
LEFT JOIN LATERAL (
    SELECT earlier.cycle_name, earlier.status, earlier.final_score
    FROM marts.mart_okr_scorecard AS earlier
    WHERE earlier.key_result_id = scorecard.key_result_id AND earlier.cycle_start < scorecard.cycle_start
    ORDER BY earlier.cycle_start DESC, earlier.cycle_id DESC
    LIMIT 1
) AS before ON true
WHERE scorecard.cycle_id = ANY(%(cycle_ids)s)
  AND (
      %(visible_organisation_id)s::text IS NULL
      OR scorecard.team_id IN (
          SELECT team_id FROM marts.dim_team WHERE is_current AND organisation_id = %(visible_organisation_id)s
      )
  )
  AND (
      %(teams)s::text[] IS NULL OR scorecard.team_id = ANY(%(teams)s) OR scorecard.team_name = ANY(%(teams)s)
  )
ORDER BY scorecard.key_result_id, scorecard.cycle_id
