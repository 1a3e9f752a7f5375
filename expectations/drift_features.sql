-- Grain: one row of the feature mart as of a check-in. is_newest marks the newest cycle, which is compared with the
-- rest. Progress and elapsed share are excluded, because they are always lower early in a cycle, which is not drift.
SELECT
    dense_rank() OVER (ORDER BY cycle_start DESC) = 1 AS is_newest,
    confidence,
    log_required_pace,
    log_pace_ratio_7d,
    log_pace_ratio_28d,
    log_pace_ratio_cycle
FROM ml.key_result_features
WHERE as_of_kind = 'check_in' AND cycle_start IS NOT NULL
