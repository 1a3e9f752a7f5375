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

-- name: probability_is_a_share
-- expect: probability, low and high are 0-1
SELECT prediction_id, probability, low, high
FROM {batch}
WHERE probability NOT BETWEEN 0 AND 1 OR low NOT BETWEEN 0 AND 1 OR high NOT BETWEEN 0 AND 1

-- name: scored_before_the_outcome_was_known
-- expect: a forecast is scored only when it was served, and its model trained, before the outcome was known
SELECT prediction_id, served_at, trained_until, outcome_known_at
FROM {batch}
WHERE
    is_scored
    AND (outcome_known_at IS NULL OR served_at >= outcome_known_at OR trained_until >= outcome_known_at)
