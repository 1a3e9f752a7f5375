-- Grain: one row per key result in its current cycle or, if cycles are requested, per key result and requested cycle.
-- Archived key results are included only on request.
-- changed_at: docs/serving.md explains what it covers.
SELECT
    scorecard.key_result_id, scorecard.organisation, scorecard.team_id, scorecard.team_name, scorecard.team_label,
    scorecard.cycle_id, scorecard.cycle_name, scorecard.cycle_start, scorecard.cycle_end, scorecard.objective_id,
    scorecard.objective_title, scorecard.title, scorecard.unit, scorecard.direction, scorecard.baseline,
    scorecard.target, scorecard.weight, scorecard.latest_value, scorecard.latest_check_in_at,
    scorecard.latest_confidence, scorecard.check_in_count, scorecard.days_since_check_in, scorecard.progress_ratio,
    scorecard.score_ratio, scorecard.expected_progress_ratio, scorecard.pace_ratio, scorecard.status,
    scorecard.status_since, scorecard.opened_at, scorecard.ended_at, scorecard.is_current_cycle,
    scorecard.is_archived, scorecard.archived_at, scorecard.archived_reason, scorecard.is_closed, scorecard.final_at,
    scorecard.final_value, scorecard.final_score, scorecard.is_achieved, scorecard.closable_until,
    greatest(
        key_result.changed_at, objective.changed_at, cycle.changed_at, team.changed_at, check_in.changed_at,
        scorecard.opened_at, scorecard.ended_at, scorecard.archived_at, scorecard.final_at,
        scorecard.status_since::timestamp AT TIME ZONE 'UTC'
    ) AS changed_at
FROM marts.mart_okr_scorecard AS scorecard
LEFT JOIN (
    SELECT key_result_id, max(recorded_at) AS changed_at FROM marts.dim_key_result GROUP BY key_result_id
) AS key_result ON scorecard.key_result_id = key_result.key_result_id
LEFT JOIN (
    SELECT objective_id, greatest(max(recorded_at), max(archived_at)) AS changed_at
    FROM marts.dim_objective
    GROUP BY objective_id
) AS objective ON scorecard.objective_id = objective.objective_id
LEFT JOIN (
    SELECT cycle_id, greatest(max(recorded_at), max(closed_at)) AS changed_at FROM marts.dim_cycle GROUP BY cycle_id
) AS cycle ON scorecard.cycle_id = cycle.cycle_id
LEFT JOIN (
    SELECT team_id, greatest(max(recorded_at), max(archived_at)) AS changed_at FROM marts.dim_team GROUP BY team_id
) AS team ON scorecard.team_id = team.team_id
LEFT JOIN (
    SELECT key_result_id, counted_cycle_id, max(logged_at) AS changed_at
    FROM marts.fct_check_in
    GROUP BY key_result_id, counted_cycle_id
) AS check_in
    ON scorecard.key_result_id = check_in.key_result_id AND scorecard.cycle_id = check_in.counted_cycle_id
WHERE
    (%(team)s::text [] IS NULL OR scorecard.team_id = ANY(%(team)s) OR scorecard.team_name = ANY(%(team)s))
    AND CASE
        WHEN %(cycle)s::text [] IS NULL THEN scorecard.is_current_cycle
        ELSE scorecard.cycle_id = ANY(%(cycle)s) OR scorecard.cycle_name = ANY(%(cycle)s)
    END
    AND (%(organisation)s::text [] IS NULL OR scorecard.organisation = ANY(%(organisation)s))
    AND (%(objective)s::text [] IS NULL OR scorecard.objective_id = ANY(%(objective)s))
    AND (%(status)s::text [] IS NULL OR scorecard.status = ANY(%(status)s))
    AND (NOT scorecard.is_archived OR %(archived)s OR 'archived' = ANY(%(status)s))
