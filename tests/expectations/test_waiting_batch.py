"""The raw gate on a real lake and a real PostgreSQL: validated rows are loaded, and a failed batch is not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from expectations.raw_gate import require_passed, validate_waiting
from ingestion.loading import load
from lakehouse.errors import GateFailed
from lakehouse.lake import table_uri
from lakehouse.settings import Settings
from lakehouse.warehouse import connect

TOPIC = "okr_user_events"


@pytest.fixture
def settings(fresh_database: Settings, tmp_path: Path) -> Settings:
    return fresh_database.model_copy(update={"lake_uri": str(tmp_path / "lake")})


@pytest.fixture
def land(settings: Settings, batch: Callable[..., pa.Table]) -> Callable[..., None]:
    """Append rows to the lake with consecutive offsets."""
    landed = 0

    def append(*rows: dict[str, Any]) -> None:
        nonlocal landed
        from deltalake import write_deltalake

        placed = [row | {"kafka_offset": landed + position} for position, row in enumerate(rows)]
        write_deltalake(table_uri(settings.lake_uri, TOPIC), batch(*placed), mode="append", partition_by=["event_date"])
        landed += len(rows)

    return append


def loaded(settings: Settings) -> int:
    with connect(settings.require("dsn_loader")) as connection:
        row = connection.execute(f"SELECT count(*) FROM raw.{TOPIC}".encode()).fetchone()
    assert row is not None
    return int(str(row[0]))


def stored_results(settings: Settings) -> list[tuple[object, ...]]:
    with connect(settings.require("dsn_transform")) as connection:
        query = b"SELECT gate, run_id, passed, checked_rows, failed FROM ops.gate_result ORDER BY gate_result_id"
        return connection.execute(query).fetchall()


def test_an_empty_batch_passes(settings: Settings) -> None:
    verdict = validate_waiting(settings, "run")
    assert verdict.report.nothing_to_validate
    require_passed(verdict.report)
    assert "nothing to validate" in verdict.report.summary()
    assert stored_results(settings) == [("raw", "run", True, 0, 0)]


def test_exactly_the_validated_rows_are_loaded(settings: Settings, land: Any, kr: Any, ci: Any) -> None:
    land(kr(), ci(), ci())
    verdict = validate_waiting(settings, "run")
    land(ci(), *[ci(1e12)] * 59)  # after the gate has checked
    assert (verdict.waiting[TOPIC], verdict.end_offsets[TOPIC]) == (3, {0: 3})
    assert load(settings, verdict.end_offsets)[TOPIC] == 3
    assert not validate_waiting(settings, "next").report.passed
    assert stored_results(settings) == [("raw", "run", True, 3, 0), ("raw", "next", False, 60, 1)]


def test_a_poisoned_batch_is_not_loaded_and_the_message_says_what_to_do(
    settings: Settings, land: Any, kr: Any, ci: Any
) -> None:
    land(kr(), *[ci()] * 40, *[ci(1e12)] * 40)
    verdict = validate_waiting(settings, "run")
    with pytest.raises(GateFailed, match="accept_raw_batch") as failure:
        require_passed(verdict.report)
    assert "40 rows fail, e.g. 100000000000.0" in str(failure.value)
    assert loaded(settings) == 0
    require_passed(validate_waiting(settings, "run", accepted=True).report)


def test_accepted_and_loaded_rows_are_not_validated_again(settings: Settings, land: Any, kr: Any, ci: Any) -> None:
    land(kr(), *[ci(1e12)] * 60)
    load(settings, validate_waiting(settings, "run", accepted=True).end_offsets)
    land(ci())
    assert validate_waiting(settings, "next").report.passed
