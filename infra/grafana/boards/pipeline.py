"""Events on their way from the sources to the published marts."""

from infra.grafana.panels import Board, Graph, Number, Query

BOARD = Board(
    "pipeline",
    "OKR: pipeline",
    "Spools, consumer lag, landing, ledger, gates and publications: whether events arrive, and how old the marts are.",
    (
        (
            "State",
            (
                Number(
                    "Age of the publication",
                    Query("time() - max(okr_publication_timestamp_seconds)"),
                    "s",
                    "At least one publication a day is expected.",
                    warn=86_400,
                    bad=93_600,
                ),
                Number(
                    "Ledger balances",
                    Query("min(okr_ledger_passed)"),
                    "bool_yes_no",
                    "Whether nothing was lost or duplicated between Kafka and raw.",
                    bad=1,
                    warn=1.5,
                ),
                Number("Failed steps", Query("sum(max by (pipeline, step) (okr_step_failures)) or vector(0)"), bad=1),
                Number(
                    "Gates passed",
                    Query("min(max by (gate) (okr_gate_passed))"),
                    "bool_yes_no",
                    "Whether the newest result of each gate is good.",
                    bad=1,
                    warn=1.5,
                ),
            ),
        ),
        (
            "Events",
            (
                Graph("Consumer lag", (Query("group:okr_consumer_lag_events:sum", "{{group}}"),), limit=10_000),
                Graph(
                    "Landed, but not in raw yet", (Query("max by (topic) (okr_waiting_for_raw_events)", "{{topic}}"),)
                ),
                Graph(
                    "Spools",
                    (Query("instance_spool:okr_spool_fill:ratio", "{{instance}} {{spool}}"),),
                    "percentunit",
                    "How full they are. Events wait there while the broker is away; a full spool refuses events.",
                    limit=0.5,
                    maximum=1,
                ),
                Graph(
                    "Oldest event in a spool",
                    (Query("max by (instance, spool) (okr_spool_oldest_seconds)", "{{instance}} {{spool}}"),),
                    "s",
                ),
                Graph(
                    "Rows in the lake",
                    (Query("sum by (topic, state) (okr_lake_rows)", "{{topic}} {{state}}"),),
                    description="Rejected messages break their contract.",
                ),
                Graph(
                    "Time since the last commit to the lake",
                    (Query("time() - max by (topic) (okr_lake_commit_timestamp_seconds)", "{{topic}}"),),
                    "s",
                ),
            ),
        ),
        (
            "Runs",
            (
                Graph("Rows that gates checked", (Query("max by (gate) (okr_gate_checked_rows)", "{{gate}}"),)),
                Graph(
                    "Failed expectations", (Query("max by (gate) (okr_gate_failed_expectations)", "{{gate}}"),), limit=1
                ),
                Graph("Size of the lake", (Query("max by (topic) (okr_lake_bytes)", "{{topic}}"),), "bytes"),
                Graph("Files of the lake", (Query("max by (topic) (okr_lake_files)", "{{topic}}"),)),
            ),
        ),
    ),
)
