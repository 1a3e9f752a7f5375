-- name: every_alert_arrived
-- expect: the mart has as many alerts as raw
SELECT in_raw, in_mart
FROM (
    SELECT count(DISTINCT data ->> 'fingerprint') AS in_raw
    FROM raw.okr_data_pipeline
    WHERE event_type = 'okr.alert.changed.v1' AND event_id NOT IN (SELECT event_id FROM int_withheld_event)
) AS r
CROSS JOIN (SELECT count(DISTINCT fingerprint) AS in_mart FROM {batch}) AS m
WHERE in_raw <> in_mart
