-- Grain: one row, all key results of the cycles that run on the data's day; where none runs, of those that ended last.
WITH today AS (
    SELECT (data_as_of AT TIME ZONE 'UTC')::date AS today FROM marts.publication
),
shown AS (
    SELECT DISTINCT scorecard.cycle_id, scorecard.cycle_name, scorecard.cycle_start, scorecard.cycle_end,
           today.today <= scorecard.cycle_end AS is_running
    FROM marts.mart_okr_scorecard AS scorecard
    CROSS JOIN today
    WHERE scorecard.cycle_start <= today.today
      AND scorecard.cycle_end >= least(
          today.today,
          (SELECT max(cycle_end) FROM marts.mart_okr_scorecard AS begun WHERE begun.cycle_start <= today.today)
      )
)
SELECT
    (SELECT array_agg(DISTINCT cycle_id) FROM shown) AS cycle_ids,
    (SELECT string_agg(DISTINCT cycle_name, ', ' ORDER BY cycle_name) FROM shown) AS cycle_names,
    min(shown.cycle_start) AS cycle_start,
    max(shown.cycle_end) AS cycle_end,
    bool_or(shown.is_running) AS is_running,
    max(today.today) AS today,
    count(*) AS key_result_count,
    count(DISTINCT scorecard.team_id) AS team_count,
    count(*) FILTER (WHERE NOT scorecard.is_closed) AS open_count,
    count(*) FILTER (WHERE scorecard.is_closed) AS closed_count,
    count(*) FILTER (WHERE scorecard.is_achieved) AS achieved_count,
    count(*) FILTER (WHERE scorecard.status = 'on_track') AS on_track_count,
    count(*) FILTER (WHERE scorecard.status IN ('on_track', 'at_risk', 'off_track', 'no_check_in')) AS running_count,
    count(*) FILTER (WHERE NOT scorecard.is_closed AND scorecard.days_since_check_in <= 14) AS fresh_count,
    sum(scorecard.weight * coalesce(scorecard.score_ratio, 0)) / nullif(sum(scorecard.weight), 0) AS score_to_date_ratio,
    sum(scorecard.weight * scorecard.expected_progress_ratio) / nullif(sum(scorecard.weight), 0)
        AS expected_progress_ratio
FROM marts.mart_okr_scorecard AS scorecard
INNER JOIN shown ON scorecard.cycle_id = shown.cycle_id
CROSS JOIN today
WHERE NOT scorecard.is_archived
