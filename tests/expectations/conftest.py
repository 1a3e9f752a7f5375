"""Waiting batches as the landing consumer leaves them, and marts that dbt builds from a simulated log."""

import importlib
import json
import os
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from infra.local.stack import Stack
from ingestion.contract_validation import DecodedEvent, decode, encode
from ingestion.loading.direct import copy_events
from ingestion.sources.simulator import messages, organisation, scale_of
from lakehouse.contracts.alert import AlertChanged
from lakehouse.contracts.pipeline_step import PipelineStepFinished
from lakehouse.contracts.prediction import PredictionServed
from lakehouse.errors import ContractViolation
from lakehouse.ids import uuid7
from lakehouse.lake import landing_schema
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.databases import NewDatabase, database_from
from tests.dbt_process import run_dbt

SHARED = Path(os.environ.get("OKR_SHARED") or Path(__file__).parents[3] / "shared").absolute()
collect_ignore = [] if (SHARED / "data" / "us_states").is_dir() else ["test_real_goals.py"]  # real data stay there
CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace::regnamespace::text IN ('marts_build', 'ml_build') AND contype <> 'n'
"""
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
EVENT_COLUMNS = (
    "event_id", "event_type", "source", "subject", "occurred_at", "recorded_at", "recorded_at_assumed", "data"
)  # fmt: skip
MakeBatch = Callable[..., pa.Table]
MakeRow = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session", autouse=True)
def _great_expectations() -> None:
    """Import Great Expectations once and ignore the deprecation warnings of its imports."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        importlib.import_module("great_expectations")


@pytest.fixture
def batch() -> MakeBatch:
    """Make a batch of good rows; each argument has the overrides of one row by column."""

    def make(*rows: dict[str, Any]) -> pa.Table:
        filled = [_row(offset, overrides) for offset, overrides in enumerate(rows)]
        return pa.Table.from_pylist(filled, schema=landing_schema())

    return make


def _row(offset: int, overrides: dict[str, Any]) -> dict[str, Any]:
    data = overrides.get("data", {})
    row = {
        "kafka_partition": 0, "kafka_offset": offset, "logged_at": NOW, "event_date": NOW.date(),
        "event_id": str(uuid7(NOW)), "event_type": "okr.check_in.recorded.v1", "source": "test", "subject": "kr-1",
        "occurred_at": NOW - timedelta(minutes=1), "recorded_at": NOW, "recorded_at_assumed": False,
    }  # fmt: skip
    return row | overrides | {"data": json.dumps(data) if isinstance(data, dict) else data}


@pytest.fixture
def now() -> datetime:
    """The time at which the broker received the rows of a batch."""
    return NOW


@pytest.fixture
def kr() -> MakeRow:
    """Make overrides of a row that defines a key result."""

    def make(key_result_id: str = "kr-1", baseline: float = 0.0, target: float = 10.0) -> dict[str, Any]:
        data = {"key_result_id": key_result_id, "baseline": baseline, "target": target}
        return {"event_type": "okr.key_result.defined.v1", "subject": key_result_id, "data": data}

    return make


@pytest.fixture
def ci() -> MakeRow:
    """Make overrides of a row that is a check-in."""

    def make(value: float = 5.0, key_result_id: str = "kr-1") -> dict[str, Any]:
        return {"subject": key_result_id, "data": {"key_result_id": key_result_id, "value": value}}

    return make


@pytest.fixture
def rejected() -> MakeRow:
    """Make overrides of a row that is a rejected message."""

    def make(reason: str = "not_json") -> dict[str, Any]:
        return dict.fromkeys(EVENT_COLUMNS) | {"rejection_reason": reason, "rejected_value": b"{"}

    return make


@pytest.fixture
def load_key_result(fresh_database: Settings) -> Callable[..., None]:
    """Insert the definition of a key result into raw, as if an earlier run had loaded it."""

    def load(key_result_id: str, baseline: float, target: float) -> None:
        data = {"key_result_id": key_result_id, "baseline": baseline, "target": target}
        with connect(fresh_database.require("dsn_loader")) as connection:
            connection.execute(
                "INSERT INTO raw.okr_user_events VALUES (0, 0, %(at)s, %(id)s, 'okr.key_result.defined.v1', 'test', "
                "%(subject)s, %(at)s, %(at)s, false, %(data)s)",
                {"at": NOW, "id": uuid7(NOW), "subject": key_result_id, "data": json.dumps(data)},
            )

    return load


@pytest.fixture(scope="session")
def _built(
    new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Settings, dict[str, str]]]:
    """A simulated log in raw, its marts without constraints, and the statement that adds each constraint again."""
    with new_database() as settings:
        copy_events(settings, simulated_log())
        dbt_build(settings, tmp_path_factory.mktemp("dbt"))
        with connect(settings.require("dsn_transform")) as connection:
            constraints = connection.execute(CONSTRAINTS).fetchall()
            for table, name, _ in constraints:
                connection.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"'.encode())
        adding = {
            name: f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}' for table, name, definition in constraints
        }
        yield settings, adding


@pytest.fixture(scope="session")
def contract_constraints(_built: tuple[Settings, dict[str, str]]) -> dict[str, str]:
    """Return the statement that adds each constraint of the models' contracts, by its name."""
    return _built[1]


@pytest.fixture(scope="session")
def copy_of_the_build(_built: tuple[Settings, dict[str, str]], test_stack: Stack) -> NewDatabase:
    """Return what copies that database (0.2 s), for a test to plant a fault in."""
    built, _ = _built

    original = built.require("dsn_owner").rpartition("/")[2]
    return partial(database_from, original, test_stack, built)


def simulated_log() -> list[DecodedEvent]:
    """Return the history of a small organisation, a pipeline run and a forecast, as good events in order."""
    simulated = organisation(7, scale_of("small"))
    sent = [(message.event.topic, message.event.value) for message in messages(simulated, NOW)]
    check_in = next(
        e for e in (decoded_or_none(*each) for each in sent) if e and e.envelope.type == "okr.check_in.recorded.v1"
    )
    more = (
        PipelineStepFinished(pipeline="p", step="s", run_id="r", state="success", started_at=NOW, finished_at=NOW),
        AlertChanged(fingerprint="a1", alert="ApiDown", status="resolved", starts_at=NOW, ends_at=NOW),
        PredictionServed(
            prediction_id="p", key_result_id=check_in.payload.key_result_id, as_of=NOW, probability=0.5, low=0.1,
            high=0.9, model_name="m", model_version="1", role="champion", publication_id=1,
        ),
    )  # fmt: skip
    sent += [(event.topic, event.value) for event in (encode(data, at=NOW, source="test") for data in more)]
    return [event for event in (decoded_or_none(topic, value) for topic, value in sent) if event]


def decoded_or_none(topic: str, value: bytes | None) -> DecodedEvent | None:
    """Return the event of a message, or None if landing would reject it."""
    try:
        return decode(topic, value)
    except ContractViolation:
        return None


def dbt_build(settings: Settings, target: Path) -> None:
    """Build the marts as the pipeline does."""
    run_dbt(settings, target, "build", "--exclude-resource-type", "unit_test")
