-- Grain: one row of the feature mart as of a check-in, by cycle; the newest cycle with rows is the one that may drift.
-- Progress and elapsed are left out: a running cycle is young, and that is no drift.
SELECT
    dense_rank() OVER (ORDER BY cycle_start DESC) = 1 AS is_newest,
    confidence,
    log_required_pace,
    log_pace_ratio_7d,
    log_pace_ratio_28d,
    log_pace_ratio_cycle
FROM ml.key_result_features
WHERE as_of_kind = 'check_in' AND cycle_start IS NOT NULL
