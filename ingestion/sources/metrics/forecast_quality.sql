SELECT
    model,
    version,
    role,
    scored,
    brier_score,
    log_loss,
    calibration_error,
    interval_coverage_ratio,
    achieved_ratio,
    mean_probability
FROM ops.forecast_quality()
