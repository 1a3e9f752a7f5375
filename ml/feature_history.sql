-- Grain: feature row, beside how its key result ended (null while it is open);
-- and one row without as_of for a key result that closed in a cycle without any check-in before in it.
-- An outcome is its cycle's: rows of other cycles, and of what was archived, have none.
-- A closed key result's period has the days that its cycle had in the end.
SELECT
    features.*,
    coalesce(features.key_result_id, outcome.key_result_id) AS key_result,
    -- What has an outcome: a key result that goes on in the next cycle is another one there.
    coalesce(features.key_result_id, outcome.key_result_id) || ' in ' || coalesce(features.cycle_id, outcome.cycle_id)
        AS key_result_in_cycle,
    coalesce(outcome.cycle_start, features.cycle_start) AS period_start,
    coalesce(outcome.cycle_end, features.cycle_end) AS period_end,
    outcome.known_at AS outcome_known_at,
    outcome.final_score,
    outcome.is_achieved,
    -- Unclipped and by the definition that held then, so that other thresholds can be asked.
    (outcome.final_value - features.baseline) / (features.target - features.baseline) AS final_progress
FROM ml.key_result_features AS features
FULL JOIN ml.key_result_outcome AS outcome USING (key_result_id, cycle_id)
ORDER BY key_result, features.as_of
