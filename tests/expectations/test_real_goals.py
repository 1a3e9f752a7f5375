"""Real history of eight domains in one warehouse, from files to published marts, with every row accounted for."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from expectations.gate_decision import GateReport
from expectations.gx_runner import validate
from expectations.marts_gate import validate_build
from expectations.raw_gate import checked_columns
from expectations.suites import event
from ingestion.contract_validation import DecodedEvent
from ingestion.loading.direct import copy_events
from ingestion.sources.okr_files.event_order import history_events
from ingestion.sources.okr_files.row_validation import read_history
from lakehouse import quarantine
from lakehouse.lake import landing_schema
from lakehouse.publishing import marts_build, publication
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.expectations.conftest import dbt_build, decoded_or_none

SHARED = Path(os.environ.get("OKR_SHARED") or Path(__file__).parents[3] / "shared").absolute()
DOMAINS = (
    "beijing_air", "browser_interop", "city_bikes", "de_icu_service", "hu_chickenpox", "job_postings",
    "us_flu_admissions", "us_states",
)  # fmt: skip
FLAGGED = {"browser_interop": 64, "us_flu_admissions": 35}  # check-ins beyond 100 times the targeted gain
TOPIC = "okr_user_events"
pytestmark = pytest.mark.timeout(600)  # 63,000 events of eight domains: about 90 s on an idle machine


def folder(domain: str) -> Path:
    return SHARED / "data" / ("us_states" if domain == "us_states" else f"real_goals/{domain}")


@pytest.fixture(scope="module")
def imported() -> dict[str, list[DecodedEvent]]:
    """The events of each domain's files; none of their rows is rejected."""
    events: dict[str, list[DecodedEvent]] = {}
    for domain in DOMAINS:
        rejected: list[Any] = []
        history = read_history(folder(domain), now=datetime.now(UTC), reject=rejected.append)
        found = [decoded_or_none(TOPIC, each.value) for each in history_events(history)]
        events[domain] = [each for each in found if each]
        assert (rejected, len(events[domain])) == ([], len(found))
    return events


@pytest.fixture(scope="module")
def published(
    imported: dict[str, list[DecodedEvent]],
    new_database: Callable[[], AbstractContextManager[Settings]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Settings, dict[str, GateReport]]]:
    """All domains in one warehouse: validated by batch, loaded, built, validated and published as by okr_etl_dag."""
    with new_database() as settings:
        dsn = settings.require("dsn_transform")
        reports = {name: validate("raw", name, [_suite(events, dsn)]) for name, events in imported.items()}
        copy_events(settings, [each for events in imported.values() for each in events])
        with connect(settings.require("dsn_loader"), autocommit=True) as loader:
            loader.execute("ANALYZE raw.okr_user_events")  # as a large load does
        marts_build.prepare_build(dsn, "run")
        dbt_build(settings, tmp_path_factory.mktemp("dbt"))
        reports["marts"] = validate_build(settings, "run")
        publication.publish(dsn, gate=reports["marts"].as_dict(), model_version=None)
        yield settings, reports


def _suite(events: list[DecodedEvent], dsn: str) -> Any:
    rows = [_row(offset, each) for offset, each in enumerate(events)]
    return event.suite(TOPIC, checked_columns(pa.Table.from_pylist(rows, schema=landing_schema()), TOPIC, dsn))


def _row(offset: int, decoded: DecodedEvent) -> dict[str, Any]:
    frame = decoded.envelope
    at = frame.recordedtime or frame.time
    return {
        "kafka_partition": 0, "kafka_offset": offset, "logged_at": at, "event_date": at.date(),
        "event_id": str(frame.id), "event_type": frame.type, "source": frame.source, "subject": frame.subject,
        "occurred_at": frame.time, "recorded_at": at, "recorded_at_assumed": True, "data": decoded.data,
    }  # fmt: skip


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_real_history_passes_the_raw_gate(published: Any, domain: str) -> None:
    report = published[1][domain]
    assert report.passed, report.summary()
    assert not report.failed
    flagged = {rule.name: rule.unexpected for _, rule in report.flagged()}
    assert flagged == ({"progress_is_plausible": FLAGGED[domain]} if domain in FLAGGED else {})


def test_the_marts_gate_passes_all_eight(published: Any) -> None:
    assert published[1]["marts"].passed, published[1]["marts"].summary()


def test_every_row_is_published_and_the_implausible_ones_are_listed(
    published: Any, imported: dict[str, list[DecodedEvent]]
) -> None:
    settings = published[0]
    with connect(settings.require("dsn_analyst")) as analyst:
        rows = analyst.execute(
            "SELECT k.organisation, count(*) FROM fct_check_in AS c "
            "JOIN (SELECT DISTINCT key_result_id, organisation FROM mart_okr_scorecard) AS k USING (key_result_id) "
            "GROUP BY 1 ORDER BY 1"
        ).fetchall()
        flags = analyst.execute(
            "SELECT split_part(subject, '-', 1), rule, is_withheld, count(*) FROM fct_reviewed_event GROUP BY 1, 2, 3"
        ).fetchall()
    counted = {
        name: sum(each.envelope.type == "okr.check_in.recorded.v1" for each in events)
        for name, events in imported.items()
    }
    # The file of us_states spells its organisation with a hyphen.
    assert dict(rows) == {("us-states" if name == "us_states" else name): count for name, count in counted.items()}
    assert {row[:3]: row[3] for row in flags} == {
        (name, "implausible_progress", False): count for name, count in FLAGGED.items()
    }
    assert quarantine.review_counts(settings.require("dsn_serving")) == (0, sum(FLAGGED.values()))
