-- Grain: one row per cycle in which the key result counts: the current cycle, then the others, newest first.
SELECT key_result_id, organisation, team_id, team_name, team_label, cycle_id, cycle_name, cycle_start, cycle_end,
       objective_id, objective_title, title, unit, direction, baseline, target, weight,
       latest_value, latest_check_in_at, latest_confidence, check_in_count, days_since_check_in,
       progress_ratio, score_ratio, expected_progress_ratio, pace_ratio, status, status_since,
       opened_at, ended_at, is_current_cycle, is_archived, archived_at, archived_reason,
       is_closed, final_at, final_value, final_score, is_achieved,
       closable_until
FROM marts.mart_okr_scorecard
WHERE
    key_result_id = %(key_result_id)s
    AND (
        %(visible_organisation_id)s::text IS NULL
        OR team_id IN (
            SELECT team.team_id
            FROM marts.dim_team AS team
            WHERE team.is_current AND team.organisation_id = %(visible_organisation_id)s
        )
    )
ORDER BY is_current_cycle DESC, cycle_start DESC NULLS LAST, cycle_id DESC
