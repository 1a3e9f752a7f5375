-- Grain: one row per team and cycle, newest cycle first. A page has at most limit + 1 rows and starts after the sort
-- key of the previous page's last row.
-- cycle_order: days from the cycle's start to 3000-01-01, so that one ascending row comparison covers the sort key.
WITH progress AS (
    SELECT
        *,
        coalesce('3000-01-01'::date - cycle_start, 2147483647) AS cycle_order,
        coalesce(organisation, '') AS organisation_key,
        coalesce(team_label, '') AS team_label_key,
        coalesce(team_id, '') AS team_key,
        coalesce(cycle_id, '') AS cycle_key
    FROM marts.mart_team_scorecard
    WHERE (%(teams)s::text[] IS NULL OR team_id = ANY(%(teams)s) OR team_name = ANY(%(teams)s))
      AND (%(cycles)s::text[] IS NULL OR cycle_id = ANY(%(cycles)s) OR cycle_name = ANY(%(cycles)s))
)

SELECT team_id, team_name, team_label, organisation, cycle_id, cycle_name, cycle_start, cycle_end,
       key_result_count, closed_count, achieved_count, missed_count, on_track_count, at_risk_count, off_track_count,
       no_check_in_count, awaiting_close_count, not_started_count, no_cycle_count,
       attainment_ratio, achieved_ratio, on_track_ratio, score_to_date_ratio,
       cycle_order, organisation_key, team_label_key, team_key, cycle_key
FROM progress
WHERE
    %(after_cycle_order)s::integer IS NULL
    OR (
        cycle_order, organisation_key COLLATE "C", team_label_key COLLATE "C", team_key COLLATE "C", cycle_key COLLATE "C"
    ) > (
        %(after_cycle_order)s::integer, %(after_organisation_key)s::text, %(after_team_label_key)s::text,
        %(after_team_key)s::text, %(after_cycle_key)s::text
    )
ORDER BY
    cycle_order, organisation_key COLLATE "C", team_label_key COLLATE "C", team_key COLLATE "C", cycle_key COLLATE "C"
LIMIT %(limit)s + 1
