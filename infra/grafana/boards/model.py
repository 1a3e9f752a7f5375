"""Forecasts: how they are served, how good they were, and whether the data have drifted."""

from infra.grafana.panels import Board, Graph, Number, Query

BY_VERSION = "{{model}} {{version}} ({{role}})"

BOARD = Board(
    "model",
    "OKR: model",
    "Served forecasts, their quality once the outcome is known, and drift against the training data.",
    (
        (
            "Served",
            (
                Number("Rows per second", Query("sum(rate(okr_model_rows_total[5m]))"), "ops", "Computed forecasts."),
                Number(
                    "Prediction log",
                    Query("max(okr_prediction_log_fill_ratio)"),
                    "percentunit",
                    "Share of its limit. If it is full, nothing is served.",
                    warn=0.5,
                    bad=0.8,
                ),
                Number(
                    "Log behind the broker",
                    Query("max(okr_prediction_log_behind_seconds)"),
                    "s",
                    "For how long recorded predictions have been waiting.",
                    warn=60,
                    bad=600,
                ),
                Number(
                    "Forecasts that can be scored", Query("sum(max by (model, version, role) (okr_forecast_scored))")
                ),
                Graph(
                    "p95 of the model",
                    (
                        Query(
                            "histogram_quantile(0.95, sum by (model, le) "
                            "(rate(okr_model_duration_seconds_bucket[5m])))",
                            "{{model}}",
                        ),
                    ),
                    "s",
                ),
                Graph(
                    "Cache of forecasts",
                    (Query("sum by (result) (rate(okr_forecast_cache_lookups_total[5m]))", "{{result}}"),),
                    "ops",
                ),
            ),
        ),
        (
            "Quality of the last 90 days",
            (
                Graph(
                    "Brier score",
                    (
                        Query("max by (model, version, role) (okr_forecast_brier_score)", BY_VERSION),
                        Query(
                            "max by (model, version, role) "
                            "(okr_forecast_achieved_ratio * (1 - okr_forecast_achieved_ratio))",
                            "constant forecast, for {{model}} {{version}}",
                        ),
                    ),
                    description="Smaller is better. Above that of the constant forecast, an alert fires.",
                ),
                Graph(
                    "Error of calibration",
                    (Query("max by (model, version, role) (okr_forecast_calibration_error)", BY_VERSION),),
                    "percentunit",
                    limit=0.15,
                ),
                Graph(
                    "Mean probability and share achieved",
                    (
                        Query(
                            "max by (model, version, role) (okr_forecast_mean_probability)", "forecast: " + BY_VERSION
                        ),
                        Query("max by (model, version, role) (okr_forecast_achieved_ratio)", "achieved: " + BY_VERSION),
                    ),
                    "percentunit",
                    maximum=1,
                ),
                Graph(
                    "Coverage of the 90 % intervals",
                    (Query("max by (model, version, role) (okr_forecast_interval_coverage_ratio)", BY_VERSION),),
                    "percentunit",
                    maximum=1,
                ),
            ),
        ),
        (
            "Drift (population stability index)",
            (
                Graph(
                    "Features",
                    (
                        Query(
                            "topk(10, max by (model, role, feature) (okr_feature_drift_psi))", "{{feature}} ({{role}})"
                        ),
                    ),
                    limit=0.25,
                ),
                Graph(
                    "Probabilities",
                    (Query("max by (model, role) (okr_prediction_drift_psi)", "{{model}} ({{role}})"),),
                    limit=0.25,
                ),
            ),
        ),
    ),
)
