"""Business metrics: completion, check-ins, active users, and how well forecasts are calibrated."""

from infra.grafana.panels import Board, Graph, Number, Query

BOARD = Board(
    "business",
    "OKR: business",
    "Completion rate, check-in rate and active users of all organisations, and the calibration of forecasts.",
    (
        (
            "Now",
            (
                Number(
                    "Completion rate",
                    Query("okr:key_results_achieved:ratio"),
                    "percentunit",
                    "Achieved key results among those that ended within 90 days and were closed.",
                ),
                Number(
                    "Check-in rate",
                    Query("okr:key_results_checked_in:ratio"),
                    "percentunit",
                    "Open key results with a check-in in the newest complete week.",
                    warn=0.6,
                    bad=0.4,
                ),
                Number("Active users, 7 days", Query('max(okr_active_users{window="7d"})')),
                Number(
                    "Off by on average",
                    Query("max(okr_forecast_calibration_error)"),
                    "percentunit",
                    "Error of calibration of the worst model that served.",
                    warn=0.1,
                    bad=0.15,
                ),
            ),
        ),
        (
            "Over time",
            (
                Graph("Key results", (Query("max by (status) (okr_key_results)", "{{status}}"),)),
                Graph("Active users", (Query("max by (window) (okr_active_users)", "{{window}}"),)),
                Graph(
                    "Check-ins",
                    (
                        Query("max(okr_key_results_open)", "open key results"),
                        Query("max(okr_key_results_checked_in)", "with a check-in"),
                    ),
                    description="In the newest complete week.",
                ),
                Graph(
                    "Rates",
                    (
                        Query("okr:key_results_achieved:ratio", "completion"),
                        Query("okr:key_results_checked_in:ratio", "check-in"),
                    ),
                    "percentunit",
                    maximum=1,
                ),
            ),
        ),
    ),
)
