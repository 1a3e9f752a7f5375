"""Waiting batches as the landing consumer would have left them, with one fault planted where a test asks for it."""

import importlib
import json
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from lakehouse.ids import uuid7
from lakehouse.lake import landing_schema
from lakehouse.settings import Settings
from lakehouse.warehouse import connect

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
EVENT_COLUMNS = (
    "event_id", "event_type", "source", "subject", "occurred_at", "recorded_at", "recorded_at_assumed", "data"
)  # fmt: skip
MakeBatch = Callable[..., pa.Table]
MakeRow = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session", autouse=True)
def _great_expectations() -> None:
    """Import the tool once; that its own import uses what Python has deprecated is not ours to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        importlib.import_module("great_expectations")


@pytest.fixture
def batch() -> MakeBatch:
    """Make a batch of good rows; each argument is the rows' overrides by column."""

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
    """When the broker had every row of a batch."""
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
    """Put a key result's definition into raw, as if an earlier run had loaded it."""

    def load(key_result_id: str, baseline: float, target: float) -> None:
        data = {"key_result_id": key_result_id, "baseline": baseline, "target": target}
        with connect(fresh_database.require("dsn_loader")) as connection:
            connection.execute(
                "INSERT INTO raw.okr_user_events VALUES (0, 0, %(at)s, %(id)s, 'okr.key_result.defined.v1', 'test', "
                "%(subject)s, %(at)s, %(at)s, false, %(data)s)",
                {"at": NOW, "id": uuid7(NOW), "subject": key_result_id, "data": json.dumps(data)},
            )

    return load
