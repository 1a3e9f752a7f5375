"""The API: requests, errors, latency, and what it refuses."""

from infra.grafana.panels import Board, Graph, Number, Query

BOARD = Board(
    "api",
    "OKR: API",
    "Requests, errors and latency of the API against its objectives, and what it refuses.",
    (
        (
            "Service level objectives (30 days: 99.9 % without a server error, 99 % within 1 s)",
            (
                Number(
                    "Server errors now",
                    Query("max(job:okr_http_errors:ratio_rate5m)"),
                    "percentunit",
                    "Share of the requests of the last 5 minutes.",
                    warn=0.01,
                    bad=0.05,
                ),
                Number(
                    "Slow requests now",
                    Query("max(job:okr_http_slow:ratio_rate5m)"),
                    "percentunit",
                    "Share of the requests of the last 5 minutes that took more than 1 s.",
                    warn=0.01,
                    bad=0.05,
                ),
                Number("Requests per second", Query("sum(job:okr_http_requests:rate5m)"), "reqps"),
                Number(
                    "p95",
                    Query("max(job:okr_http_latency_seconds:p95_rate5m)"),
                    "s",
                    "95 % of the requests are faster.",
                    warn=0.5,
                    bad=1,
                ),
                Graph(
                    "Burn rate of the error budget",
                    (
                        Query("job:okr_http_errors:ratio_rate1h / 0.001", "1 h"),
                        Query("job:okr_http_errors:ratio_rate6h / 0.001", "6 h"),
                        Query("job:okr_http_errors:ratio_rate1d / 0.001", "1 d"),
                    ),
                    description="At 1, the budget lasts 30 days. From 14.4 for an hour, an alert fires.",
                    limit=14.4,
                ),
                Graph(
                    "Burn rate of the latency budget",
                    (
                        Query("job:okr_http_slow:ratio_rate1h / 0.01", "1 h"),
                        Query("job:okr_http_slow:ratio_rate6h / 0.01", "6 h"),
                        Query("job:okr_http_slow:ratio_rate1d / 0.01", "1 d"),
                    ),
                    limit=14.4,
                ),
            ),
        ),
        (
            "Requests",
            (
                Graph(
                    "By route",
                    (
                        Query(
                            "topk(10, sum by (method, route) (rate(okr_http_request_duration_seconds_count[5m])))",
                            "{{method}} {{route}}",
                        ),
                    ),
                    "reqps",
                ),
                Graph(
                    "By status",
                    (Query("sum by (status) (rate(okr_http_request_duration_seconds_count[5m]))", "{{status}}"),),
                    "reqps",
                ),
                Graph(
                    "p95 by route",
                    (
                        Query(
                            "topk(10, histogram_quantile(0.95, sum by (route, le) "
                            "(rate(okr_http_request_duration_seconds_bucket[5m]))))",
                            "{{route}}",
                        ),
                    ),
                    "s",
                    limit=1,
                ),
                Graph(
                    "Refused before a route",
                    (Query("sum by (reason) (rate(okr_http_refusals_total[5m]))", "{{reason}}"),),
                    "reqps",
                    "By rate limits, limits of bodies and connections, and load shedding.",
                ),
            ),
        ),
    ),
)
