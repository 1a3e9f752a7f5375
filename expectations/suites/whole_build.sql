-- name: covers_what_is_loaded
-- expect: data_as_of is the time of the newest loaded event
SELECT data_as_of, loaded_as_of
FROM {batch} AS built CROSS JOIN (SELECT max(recorded_at) AS loaded_as_of FROM raw.okr_user_events) AS r
WHERE data_as_of IS DISTINCT FROM loaded_as_of

-- name: not_older_than_published
-- expect: data_as_of is not earlier than that of the current publication
SELECT built.data_as_of, p.data_as_of AS published_as_of
FROM {batch} AS built INNER JOIN ops.publication AS p ON p.is_current AND p.data_as_of > built.data_as_of

-- name: no_mart_shrinks (acceptable)
-- expect: no mart loses both more than 20 % and more than ten of its published rows
SELECT built.mart, published.rows AS published_rows, built.rows AS built_rows
FROM (
    SELECT 'dim_cycle' AS mart, count(*) AS rows FROM dim_cycle
    UNION ALL SELECT 'dim_key_result', count(*) FROM dim_key_result
    UNION ALL SELECT 'dim_objective', count(*) FROM dim_objective
    UNION ALL SELECT 'dim_team', count(*) FROM dim_team
    UNION ALL SELECT 'dim_user', count(*) FROM dim_user
    UNION ALL SELECT 'fct_check_in', count(*) FROM fct_check_in
    UNION ALL SELECT 'fct_check_in_version', count(*) FROM fct_check_in_version
    UNION ALL SELECT 'fct_key_result_daily', count(*) FROM fct_key_result_daily
    UNION ALL SELECT 'fct_pipeline_run', count(*) FROM fct_pipeline_run
    UNION ALL SELECT 'fct_prediction', count(*) FROM fct_prediction
    UNION ALL SELECT 'fct_system_health_hourly', count(*) FROM fct_system_health_hourly
    UNION ALL SELECT 'fct_user_activity_daily', count(*) FROM fct_user_activity_daily
    UNION ALL SELECT 'mart_okr_scorecard', count(*) FROM mart_okr_scorecard
    UNION ALL SELECT 'mart_organisation_scorecard', count(*) FROM mart_organisation_scorecard
    UNION ALL SELECT 'mart_team_scorecard', count(*) FROM mart_team_scorecard
    UNION ALL SELECT 'mart_checkin_hygiene', count(*) FROM mart_checkin_hygiene
) AS built
INNER JOIN (
    SELECT r.mart, r.rows::bigint AS rows
    FROM ops.publication AS p CROSS JOIN LATERAL jsonb_each_text(p.rows) AS r (mart, rows)
    WHERE p.is_current
) AS published USING (mart)
CROSS JOIN {batch} AS log
WHERE built.rows < 0.8 * published.rows AND built.rows < published.rows - 10
