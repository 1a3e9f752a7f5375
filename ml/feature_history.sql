-- Grain: a feature row with the outcome of its key result (null while the key result is open); also one row without
-- as_of for each key result that was closed in a cycle and had no check-in before the closing one.
-- An outcome belongs to one cycle. Rows of other cycles and of archived key results have no outcome.
-- The period of a closed key result has the final dates of its cycle, after any change to them.
SELECT
    features.*,
    coalesce(features.key_result_id, outcome.key_result_id) AS key_result,
    -- An outcome belongs to this pair: a key result that continues in the next cycle has another outcome there.
    coalesce(features.key_result_id, outcome.key_result_id) || ' in ' || coalesce(features.cycle_id, outcome.cycle_id)
        AS key_result_in_cycle,
    coalesce(outcome.cycle_start, features.cycle_start) AS period_start,
    coalesce(outcome.cycle_end, features.cycle_end) AS period_end,
    outcome.known_at AS outcome_known_at,
    outcome.final_score,
    outcome.is_achieved,
    -- Not clipped, so that other thresholds can be evaluated. Uses the definition valid at as_of.
    (outcome.final_value - features.baseline) / (features.target - features.baseline) AS final_progress
FROM ml.key_result_features AS features
FULL JOIN ml.key_result_outcome AS outcome USING (key_result_id, cycle_id)
ORDER BY key_result, features.as_of
