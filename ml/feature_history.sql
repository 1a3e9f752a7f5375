-- Grain: one row per feature row, with the outcome of its key result (null while the key result is open). A key result
-- that was closed in a cycle without an earlier check-in has one row in that cycle, in which as_of is null.
-- Each outcome belongs to one cycle. Rows of other cycles and of archived key results have no outcome.
-- The period of a closed key result uses the final dates of its cycle, even if they were changed after as_of.
SELECT
    features.*,
    coalesce(features.key_result_id, outcome.key_result_id) AS key_result,
    -- Identifies an outcome. A key result that continues in the next cycle has a separate outcome there.
    coalesce(features.key_result_id, outcome.key_result_id) || ' in ' || coalesce(features.cycle_id, outcome.cycle_id)
        AS key_result_in_cycle,
    coalesce(outcome.cycle_start, features.cycle_start) AS period_start,
    coalesce(outcome.cycle_end, features.cycle_end) AS period_end,
    outcome.known_at AS outcome_known_at,
    outcome.final_score,
    outcome.is_achieved,
    -- Not clipped, so that other thresholds can be evaluated. Uses the definition that was valid at as_of.
    (outcome.final_value - features.baseline) / (features.target - features.baseline) AS final_progress
FROM ml.key_result_features AS features
FULL JOIN ml.key_result_outcome AS outcome USING (key_result_id, cycle_id)
ORDER BY key_result, features.as_of
