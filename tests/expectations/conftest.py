"""Waiting batches as the landing consumer would have left them, with one fault planted where a test asks for it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from lakehouse.ids import uuid7
from lakehouse.lake import landing_schema

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
MakeBatch = Callable[..., pa.Table]


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


def key_result(key_result_id: str = "kr-1", baseline: float = 0.0, target: float = 10.0) -> dict[str, Any]:
    """Return overrides that make a row the definition of a key result."""
    data = {"key_result_id": key_result_id, "baseline": baseline, "target": target}
    return {"event_type": "okr.key_result.defined.v1", "subject": key_result_id, "data": data}


def check_in(value: float = 5.0, key_result_id: str = "kr-1") -> dict[str, Any]:
    """Return overrides that make a row a check-in."""
    return {"subject": key_result_id, "data": {"key_result_id": key_result_id, "value": value}}


def reject(reason: str = "not_json") -> dict[str, Any]:
    """Return overrides that make a row a rejected message."""
    names = ("event_id", "event_type", "source", "subject", "occurred_at", "recorded_at", "recorded_at_assumed", "data")
    return dict.fromkeys(names) | {"rejection_reason": reason, "rejected_value": b"{"}
