-- name: every_run_arrived
-- expect: the mart has as many runs as raw
SELECT in_raw, in_mart
FROM (
    SELECT count(DISTINCT (data ->> 'pipeline', data ->> 'run_id')) AS in_raw
    FROM raw.okr_data_pipeline
    WHERE event_type = 'okr.pipeline_step.finished.v1' AND event_id NOT IN (SELECT event_id FROM int_withheld_event)
) AS r
CROSS JOIN (SELECT count(*) AS in_mart FROM {batch}) AS m
WHERE in_raw <> in_mart
