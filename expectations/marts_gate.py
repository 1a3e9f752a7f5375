"""The marts gate, which validates the marts that dbt has built before they are published.

The constraints in the models' contracts already reject null keys and values out of bounds in each table. The gate
checks conditions across tables: that all loaded data has arrived in the marts, and that the marts are consistent with
one another and with the current publication. `suites/README.md` explains where each kind of rule belongs.
"""

from expectations.gate_decision import GateReport
from expectations.gate_results import save
from expectations.gx_runner import TableLocation, validate
from expectations.rules import Suite, sql_rules
from lakehouse.errors import GateFailed, PermanentError
from lakehouse.publishing.publication import current
from lakehouse.settings import Settings
from lakehouse.warehouse import connect, read_sql

GATE = "marts"
BUILT = ("marts_build", "ml_build", "intermediate")
PUBLISHED = ("marts", "ml", "intermediate")
# Suite, table, minimum number of rows. Any mart can be empty, because in its first seconds a backfill contains teams
# and users but no key results. Such data is incomplete, not wrong. Rules that compare with raw detect lost rows.
TABLES = (
    ("whole_build", "int_data_as_of", 1),
    ("user", "dim_user", 0),
    ("team", "dim_team", 0),
    ("cycle", "dim_cycle", 0),
    ("objective", "dim_objective", 0),
    ("key_result", "dim_key_result", 0),
    ("check_in", "fct_check_in", 0),
    ("key_result_daily", "fct_key_result_daily", 0),
    ("okr_scorecard", "mart_okr_scorecard", 0),
    ("team_scorecard", "mart_team_scorecard", 0),
    ("organisation_scorecard", "mart_organisation_scorecard", 0),
    ("checkin_hygiene", "mart_checkin_hygiene", 0),
    ("user_activity", "fct_user_activity_daily", 0),
    ("host_metric", "fct_system_health_hourly", 0),
    ("pipeline_step", "fct_pipeline_run", 0),
    ("alert", "fct_alert", 0),
    ("prediction", "fct_prediction", 0),
    ("reviewed_event", "fct_reviewed_event", 0),
    ("key_result_features", "key_result_features", 0),
    ("key_result_outcome", "key_result_outcome", 0),
)


def suites() -> tuple[Suite, ...]:
    """Return the suites, in the order of TABLES."""
    return tuple(Suite(name, table, sql_rules(name), rows_at_least=minimum) for name, table, minimum in TABLES)


def validate_build(settings: Settings, run_id: str, *, accepted: bool = False) -> GateReport:
    """Validate the built, unpublished marts and store the result.

    `accepted` means that an operator has accepted the build: violated plausibility rules do not fail the gate.

    Raises:
        RetryableError: the warehouse cannot be reached.
        PermanentError: there is no build (the newest is published, or none has ever been made), or it is incomplete.
    """
    dsn = settings.require("dsn_transform")
    require_build(dsn)
    report = validate(GATE, run_id, suites(), location=TableLocation(dsn, BUILT), accepted=accepted)
    if any(rule.error for suite in report.suites for rule in suite.rules):
        require_build(dsn)  # raises if a run has started a build in the meantime
    save(dsn, report)
    return report


def require_build(dsn: str) -> None:
    """Check that there is a complete build, because a missing table must not look like a broken rule.

    Raises:
        PermanentError: there is no build (the newest is published, or none has ever been made), or it is incomplete.
    """
    required = {"tables": [table for _, table, _ in TABLES], "schemas": list(BUILT)}
    with connect(dsn, application="okr-gate") as connection:
        has_started = connection.execute(read_sql("expectations", "built_tables")).fetchone()
        missing = connection.execute(read_sql("expectations", "missing_tables"), required).fetchall()
    if has_started and not missing:
        return
    if has_started:
        raise PermanentError(
            f"A run is building the marts, or its dbt step failed: {len(missing)} of {len(TABLES)} tables are "
            f"missing, e.g. {missing[0][0]}. Wait for the run, or run `okr dag start okr_etl_dag`."
        )
    published = current(dsn)
    reason = (
        f"the newest build has already been published (publication {published.publication_id})"
        if published
        else "nothing has been built yet"
    )
    raise PermanentError(
        f"There is no build to check: {reason}. `okr dag start okr_etl_dag` builds, checks and publishes; "
        "data_quality_dag checks what is published."
    )


def require_passed(report: GateReport) -> None:
    """Stop the run if the marts have failed, before it publishes them.

    Raises:
        GateFailed: the report says that the gate failed.
    """
    if not report.passed:
        raise GateFailed(
            f"{report.summary()}\nNothing was published; readers still see the last publication. Fix the models or the "
            "data (`okr gate marts` checks the build again). If only plausibility rules failed and the data is "
            "correct, run `okr dag start okr_etl_dag --conf '{\"accept_marts_build\": true}'`."
        )
