-- name: every_prediction_arrived
-- expect: as many predictions are in the mart as raw has ids
SELECT in_raw, in_mart
FROM (
    SELECT count(DISTINCT data ->> 'prediction_id') AS in_raw
    FROM raw.okr_ai_predictions
    WHERE event_type = 'okr.prediction.served.v1' AND event_id NOT IN (SELECT event_id FROM int_withheld_event)
) AS r
CROSS JOIN (SELECT count(*) AS in_mart FROM {batch}) AS m
WHERE in_raw <> in_mart

-- name: key_result_exists
-- expect: dim_key_result has the key result of a forecast exactly where the forecast says that it is known
SELECT p.prediction_id, p.key_result_id
FROM {batch} AS p
LEFT JOIN dim_key_result AS k ON p.key_result_id = k.key_result_id AND k.is_current
WHERE p.is_key_result_known <> (k.key_result_id IS NOT NULL)
