-- Grain: feature row, with the outcome of its key result (null while it is open), and one row without as_of
-- for each key result that closed in a cycle without a check-in before the closing one.
-- An outcome belongs to one cycle. Rows of other cycles, and of archived key results, have none.
-- The period of a closed key result is its cycle's final one, after any change of its dates.
SELECT
    features.*,
    coalesce(features.key_result_id, outcome.key_result_id) AS key_result,
    -- The unit that has an outcome: a key result that continues in the next cycle has another outcome there.
    coalesce(features.key_result_id, outcome.key_result_id) || ' in ' || coalesce(features.cycle_id, outcome.cycle_id)
        AS key_result_in_cycle,
    coalesce(outcome.cycle_start, features.cycle_start) AS period_start,
    coalesce(outcome.cycle_end, features.cycle_end) AS period_end,
    outcome.known_at AS outcome_known_at,
    outcome.final_score,
    outcome.is_achieved,
    -- Unclipped, by the definition valid at as_of, so that other thresholds can be evaluated.
    (outcome.final_value - features.baseline) / (features.target - features.baseline) AS final_progress
FROM ml.key_result_features AS features
FULL JOIN ml.key_result_outcome AS outcome USING (key_result_id, cycle_id)
ORDER BY key_result, features.as_of
