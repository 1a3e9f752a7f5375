-- name: every_prediction_arrived
-- expect: the mart has one forecast for each prediction_id in raw
SELECT in_raw, in_mart
FROM (
    SELECT count(DISTINCT data ->> 'prediction_id') AS in_raw
    FROM raw.okr_ai_predictions
    WHERE
        (
            event_type = 'okr.prediction.served.v1'
            OR (
                event_type = 'okr.prediction.served.v2'
                AND data ->> 'outcome_type' = 'key_result_achieved'
                AND data ->> 'subject_type' = 'key_result'
            )
        )
        AND event_id NOT IN (SELECT event_id FROM int_withheld_event)
) AS r
CROSS JOIN (SELECT count(*) AS in_mart FROM {batch}) AS m
WHERE in_raw <> in_mart

-- name: key_result_exists
-- expect: is_key_result_known is true for exactly those forecasts whose key result is in dim_key_result
SELECT p.prediction_id, p.key_result_id
FROM {batch} AS p
LEFT JOIN dim_key_result AS k ON p.key_result_id = k.key_result_id AND k.is_current
WHERE p.is_key_result_known <> (k.key_result_id IS NOT NULL)
