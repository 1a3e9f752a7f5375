"""The daily look at what is published: the marts' rules again, recomputations, freshness, drift; as Data Docs."""

from pathlib import Path

from expectations import marts, site
from expectations.drift import feature_distances
from expectations.gate import Place, judge
from expectations.record import record
from expectations.report import GateReport
from expectations.rules import Suite, sql_rules
from expectations.suites import drift
from lakehouse.errors import GateFailed, PermanentError
from lakehouse.publication import current
from lakehouse.settings import Settings

GATE = "published"
PLACES = (*marts.PUBLISHED, "raw")
# Noun, table, fewest rows: what only a daily run has the time for.
TABLES = (
    ("publication", "publication", 1),
    ("loaded", "okr_user_events", 1),
    ("check_in_recomputed", "fct_check_in", 0),
    ("outcome_recomputed", "mart_okr_scorecard", 0),
)


def judge_published(settings: Settings, run_id: str) -> GateReport:
    """Judge the published marts, store the result, and renew the Data Docs in `<sites_dir>/quality`.

    Raises:
        PermanentError: nothing is published yet.
        RetryableError: the warehouse cannot be reached.
    """
    dsn = settings.require("dsn_transform")
    if current(dsn) is None:
        raise PermanentError("Nothing is published yet, so there is nothing to judge: let okr_etl_dag run first.")
    suites = (
        *marts.suites(),
        *(Suite(noun, table, sql_rules(noun), rows_at_least=fewest) for noun, table, fewest in TABLES),
        drift.suite(feature_distances(dsn)),
    )

    def build(folder: Path) -> GateReport:
        return judge(GATE, run_id, suites, place=Place(dsn, PLACES), site=folder)

    report = site.renew(settings.sites_dir.absolute() / "quality", build)
    record(dsn, report)
    return report


def require_passed(report: GateReport) -> None:
    """Fail the run, so that somebody looks.

    Raises:
        GateFailed: a rule broke in what readers see now.
    """
    if not report.passed:
        raise GateFailed(
            f"{report.summary()}\nReaders see this data now. If it is wrong, go back by `okr publication rollback`, "
            "mend the cause, and start okr_etl_dag. The Data Docs site (/quality/) shows each rule."
        )
