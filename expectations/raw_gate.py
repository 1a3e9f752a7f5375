"""The raw gate, which validates the batch waiting in the lake (beyond the load watermark) before any of it is loaded.

It detects implausible data that contracts cannot detect, such as absurd values, many rejected messages or check-ins of
unknown key results. Individual implausible rows are reported, loaded and listed for review (marts.fct_reviewed_event).
The gate stops a batch only if so many rows are implausible that the likely cause is a wrong unit or a broken source. If
no rows are waiting, the gate passes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from expectations.gate_decision import GateReport
from expectations.gate_results import save
from expectations.gx_runner import validate
from expectations.rules import Suite
from expectations.suites import event
from lakehouse.contracts import TOPICS, contracts
from lakehouse.errors import GateFailed
from lakehouse.settings import Settings
from lakehouse.warehouse import connect, read_sql

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

GATE = "raw"
ADVICE = (
    "Nothing was loaded, and readers still see the last publication. See the rules above (`okr gate raw` checks the "
    "batch again). If the batch is correct, run `okr dag start okr_etl_dag --conf '{\"accept_raw_batch\": true}'`, so "
    "that violations of plausibility rules are only reported."
)


@dataclass(frozen=True)
class RawGateResult:
    """The report and, by topic, the number of waiting rows and the offsets up to which they were checked.

    A run loads exactly these rows.
    """

    report: GateReport
    waiting: Mapping[str, int]
    end_offsets: Mapping[str, Mapping[int, int]]


def require_passed(report: GateReport) -> None:
    """Stop the run if the batch has failed, before it loads the batch.

    Raises:
        GateFailed: the report says that the gate failed.
    """
    if not report.passed:
        raise GateFailed(f"{report.summary()}\n{ADVICE}")


def validate_waiting(settings: Settings, run_id: str, *, accepted: bool = False) -> RawGateResult:
    """Validate the waiting rows in the lake, one topic at a time, and store the result.

    Raises:
        RetryableError: the lake or the warehouse cannot be reached.
    """
    from ingestion.loading import read_pending

    end_offsets: dict[str, Mapping[int, int]] = {}
    rows: dict[str, int] = {}
    suites: list[Suite] = []
    dsn = settings.require("dsn_transform")
    with connect(settings.require("dsn_loader"), application="okr-load-pending", autocommit=True) as loader:
        for topic in TOPICS:
            waiting, offsets = read_pending(settings, topic, loader)
            rows[topic], end_offsets[topic] = waiting.num_rows, offsets
            if waiting.num_rows:
                suites.append(event.suite(topic, checked_columns(waiting, topic, dsn)))
    report = validate(GATE, run_id, suites, accepted=accepted) if suites else _nothing(run_id)
    save(dsn, report)
    return RawGateResult(report, rows, end_offsets)


def _nothing(run_id: str) -> GateReport:
    return GateReport(GATE, run_id, datetime.now(UTC), (), nothing_to_validate=True)


def checked_columns(waiting: "pa.Table", topic: str, dsn: str) -> "pd.DataFrame":
    """Compute the columns that the rules check, with one row per waiting message (`waiting_batch.sql`)."""
    import duckdb

    types = [contract.name for contract in contracts().values() if contract.topic == topic]
    known = _known_key_results(waiting, dsn)
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("SET timezone = 'UTC'")
        connection.register("waiting", waiting)
        connection.register("known", known)
        frame: pd.DataFrame = connection.execute(read_sql("expectations", "waiting_batch"), [types]).df()
    return frame


def _known_key_results(waiting: "pa.Table", dsn: str) -> "pa.Table":
    """Return key_result_id, baseline and target of the key results of waiting check-ins, if they are defined in raw."""
    import pyarrow as pa
    import pyarrow.compute as pc

    check_ins = waiting.filter(pc.equal(waiting["event_type"], "okr.check_in.recorded.v1"))
    rows: list[tuple[object, ...]] = []
    if key_result_ids := pc.unique(check_ins["subject"]).to_pylist():
        with connect(dsn, application="okr-gate") as connection:
            values = {"key_result_ids": key_result_ids}
            rows = connection.execute(read_sql("expectations", "known_key_results"), values).fetchall()
    schema = pa.schema([("key_result_id", pa.string()), ("baseline", pa.float64()), ("target", pa.float64())])
    columns = zip(*rows, strict=True) if rows else ([], [], [])
    return pa.table([list(column) for column in columns], schema=schema)
