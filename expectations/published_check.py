"""The daily check of published data: the gate's rules, recomputation, freshness and drift. It updates the Data Docs.

All queries read one snapshot, so they see a single publication. While a run is building, while publications are on hold
and after a rollback, raw and intermediate are ahead of the publication. Rules that compare with them are then skipped.
"""

import shutil
from dataclasses import replace
from pathlib import Path

from expectations import data_docs, marts_gate
from expectations.drift import feature_distances
from expectations.gate_decision import GateReport, RuleResult, SuiteResult
from expectations.gate_results import save
from expectations.gx_runner import TableLocation, validate
from expectations.rules import Suite, sql_rules
from expectations.suites import drift
from expectations.warehouse_snapshot import Snapshot, snapshot, up_to_date_publication
from lakehouse.errors import GateFailed, PermanentError
from lakehouse.publishing.publication import current
from lakehouse.settings import Settings

GATE = "published"
SCHEMAS = (*marts_gate.PUBLISHED, "raw")
# Suite, table, minimum number of rows. The rules of these suites would take too long in the gate.
TABLES = (
    ("publication", "publication", 1),
    ("loaded_events", "okr_user_events", 1),
    ("check_in_recomputed", "fct_check_in", 0),
    ("outcome_recomputed", "mart_okr_scorecard", 0),
)
NOT_COMPARED = SuiteResult(
    "comparison", "raw and intermediate", 0,
    (RuleResult(
        "matches_the_publication",
        "raw and intermediate match the publication. At present they do not (a run is building, or publications are on "
        "hold), so the rules that compare with them were skipped",
        passed=False, advice=True,
    ),),
)  # fmt: skip


def validate_published(settings: Settings, run_id: str) -> GateReport:
    """Validate the published marts, store the result, and update the Data Docs in `<sites_dir>/quality`.

    Raises:
        PermanentError: nothing is published yet.
        RetryableError: the warehouse cannot be reached.
    """
    dsn = settings.require("dsn_transform")
    if current(dsn) is None:
        raise PermanentError("Nothing is published yet, so there is nothing to validate: run okr_etl_dag first.")
    with snapshot(dsn) as fixed_state:

        def build(folder: Path) -> GateReport:
            return _validate(dsn, run_id, fixed_state, folder)

        report = data_docs.regenerate(settings.sites_dir.absolute() / "quality", build)
    save(dsn, report)
    return report


def _validate(dsn: str, run_id: str, fixed_state: Snapshot, folder: Path) -> GateReport:
    location = TableLocation(dsn, SCHEMAS, fixed_state.name)
    daily_suites = (
        *(Suite(name, table, sql_rules(name), rows_at_least=minimum) for name, table, minimum in TABLES),
        drift.suite(feature_distances(fixed_state.connection)),
    )
    if (publication := fixed_state.up_to_date_publication()) is not None:
        report = validate(GATE, run_id, (*marts_gate.suites(), *daily_suites), location=location, site=folder)
        if up_to_date_publication(dsn) == publication:
            return report
        # A build has started in the meantime, and the tables that it replaced look empty to an older snapshot.
        shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
    report = validate(GATE, run_id, (*_marts_only_suites(), *daily_suites), location=location, site=folder)
    return replace(report, suites=(*report.suites, NOT_COMPARED))


def _marts_only_suites() -> tuple[Suite, ...]:
    """Return the suites of the marts without the rules that read unpublished tables."""
    return tuple(
        replace(suite, rules=tuple(rule for rule in suite.rules if not rule.reads_loaded_or_built))
        for suite in marts_gate.suites()
        if not suite.table.startswith("int_")
    )


def require_passed(report: GateReport) -> None:
    """Fail the run if a published mart breaks a rule.

    Raises:
        GateFailed: the published marts break a rule.
    """
    if not report.passed:
        raise GateFailed(
            f"{report.summary()}\nReaders currently see this data. If it is wrong, run `okr publication rollback`, "
            "fix the cause, and run `okr publication resume` and `okr dag start okr_etl_dag`. The Data Docs site "
            "(/quality/) shows each rule."
        )
