-- Returns one row: the totals of the shown cycles. By default, these are the cycles that are running on the day of
-- data_as_of or, if there are none, those that ended last. If cycles are requested, those are shown instead. Archived
-- key results count only in archived_count.
WITH today AS (
    SELECT (data_as_of AT TIME ZONE 'UTC')::date AS today FROM marts.publication
),
scoped AS (
    SELECT *
    FROM marts.mart_okr_scorecard
    WHERE
        (%(teams)s::text[] IS NULL OR team_id = ANY(%(teams)s) OR team_name = ANY(%(teams)s))
        AND (
            %(visible_organisation_id)s::text IS NULL
            OR team_id IN (
                SELECT team_id FROM marts.dim_team WHERE is_current AND organisation_id = %(visible_organisation_id)s
            )
        )
),
shown AS (
    SELECT DISTINCT scoped.cycle_id, scoped.cycle_name, scoped.cycle_start, scoped.cycle_end,
           today.today <= scoped.cycle_end AS is_running
    FROM scoped
    CROSS JOIN today
    WHERE CASE
        WHEN %(cycles)s::text[] IS NOT NULL THEN scoped.cycle_id = ANY(%(cycles)s) OR scoped.cycle_name = ANY(%(cycles)s)
        ELSE
            NOT scoped.is_archived
            AND scoped.cycle_start <= today.today
            AND scoped.cycle_end >= least(
                today.today,
                (
                    SELECT max(started.cycle_end)
                    FROM scoped AS started
                    WHERE started.cycle_start <= today.today AND NOT started.is_archived
                )
            )
    END
),
counted AS (
    SELECT scoped.*, shown.is_running
    FROM scoped
    INNER JOIN shown ON scoped.cycle_id = shown.cycle_id
)
SELECT
    (SELECT array_agg(DISTINCT cycle_id) FROM shown) AS cycle_ids,
    (SELECT string_agg(DISTINCT cycle_name, ', ' ORDER BY cycle_name) FROM shown) AS cycle_names,
    (SELECT count(*) FROM shown) AS cycle_count,
    (SELECT min(cycle_start) FROM shown) AS cycle_start,
    (SELECT max(cycle_end) FROM shown) AS cycle_end,
    (SELECT bool_or(is_running) FROM shown) AS is_running,
    (SELECT today FROM today) AS today,
    count(*) FILTER (WHERE NOT is_archived) AS key_result_count,
    count(*) FILTER (WHERE NOT is_archived AND NOT is_closed) AS open_count,
    count(*) FILTER (WHERE status IN ('on_track', 'at_risk', 'off_track', 'no_check_in')) AS running_count,
    count(*) FILTER (WHERE is_archived) AS archived_count,
    count(*) FILTER (WHERE NOT is_archived AND NOT is_closed AND days_since_check_in <= 14) AS fresh_count,
    sum(weight * coalesce(score_ratio, 0)) FILTER (WHERE NOT is_archived)
        / nullif(sum(weight) FILTER (WHERE NOT is_archived), 0) AS score_to_date_ratio,
    sum(weight * expected_progress_ratio) FILTER (WHERE NOT is_archived)
        / nullif(sum(weight) FILTER (WHERE NOT is_archived), 0) AS expected_progress_ratio
FROM counted
