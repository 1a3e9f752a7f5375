-- Grain: one row per organisation and cycle.
SELECT
    organisation_id, organisation, cycle_id, cycle_name, cycle_start, cycle_end, team_count,
    key_result_count, closed_count, achieved_count, missed_count, on_track_count, at_risk_count, off_track_count,
    no_check_in_count, awaiting_close_count, not_started_count, no_cycle_count,
    attainment_ratio, achieved_ratio, on_track_ratio, score_to_date_ratio
FROM marts.mart_organisation_scorecard
WHERE
    (%(cycle)s::text [] IS NULL OR cycle_id = ANY(%(cycle)s) OR cycle_name = ANY(%(cycle)s))
    AND (%(organisation)s::text [] IS NULL OR organisation = ANY(%(organisation)s))
