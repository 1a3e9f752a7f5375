"""Hosts, services and monitoring itself."""

from infra.grafana.panels import Board, Graph, Number, Query

BOARD = Board(
    "infrastructure",
    "OKR: infrastructure",
    "Hosts, the platform's components, certificates, backups, and monitoring itself.",
    (
        (
            "State",
            (
                Number(
                    "Alerts that fire",
                    Query('count(ALERTS{alertstate="firing", severity!="none"}) or vector(0)'),
                    warn=1,
                    bad=5,
                ),
                Number("Targets down", Query("count(up == 0) or vector(0)"), bad=1),
                Number(
                    "Components down", Query("count(max by (component) (okr_component_up) == 0) or vector(0)"), bad=1
                ),
                Number(
                    "First certificate expires in",
                    Query("min(okr_certificate_expiry_timestamp_seconds) - time()"),
                    "s",
                    bad=604_800,
                    warn=1_814_400,
                ),
            ),
        ),
        (
            "Hosts",
            (
                Graph(
                    "CPU",
                    (Query("instance:node_cpu_busy:ratio_rate5m", "{{instance}}"),),
                    "percentunit",
                    limit=0.8,
                    maximum=1,
                ),
                Graph(
                    "Memory",
                    (Query("instance:node_memory_used:ratio", "{{instance}}"),),
                    "percentunit",
                    limit=0.85,
                    maximum=1,
                ),
                Graph(
                    "File systems",
                    (Query("instance_mountpoint:node_filesystem_used:ratio", "{{instance}} {{mountpoint}}"),),
                    "percentunit",
                    limit=0.9,
                    maximum=1,
                ),
                Graph(
                    "Load by CPU",
                    (
                        Query(
                            'node_load5 / on (instance) count by (instance) (node_cpu_seconds_total{mode="idle"})',
                            "{{instance}}",
                        ),
                    ),
                ),
                Graph(
                    "Network received",
                    (
                        Query(
                            'sum by (instance) (rate(node_network_receive_bytes_total{device!="lo"}[5m]))',
                            "{{instance}}",
                        ),
                    ),
                    "Bps",
                ),
                Graph(
                    "Clock offset",
                    (Query("max by (instance) (abs(node_timex_offset_seconds))", "{{instance}}"),),
                    "s",
                    limit=0.1,
                ),
            ),
        ),
        (
            "Services",
            (
                Graph("Components up", (Query("max by (component) (okr_component_up)", "{{component}}"),), maximum=1),
                Graph("Targets up", (Query("up", "{{job}} {{instance}}"),), maximum=1),
                Graph(
                    "PostgreSQL connections",
                    (Query("sum by (instance) (pg_stat_database_numbackends)", "{{instance}}"),),
                ),
                Graph("Redis memory", (Query("redis_memory_used_bytes", "{{instance}}"),), "bytes"),
            ),
        ),
        (
            "Monitoring",
            (
                Graph(
                    "Measurements of the platform's exporter",
                    (Query("max by (measurement) (okr_measurement_duration_seconds)", "{{measurement}}"),),
                    "s",
                ),
                Graph(
                    "Notifications of Alertmanager that failed",
                    (
                        Query(
                            "sum by (integration) (rate(alertmanager_notifications_failed_total[5m]))",
                            "{{integration}}",
                        ),
                    ),
                ),
            ),
        ),
    ),
)
