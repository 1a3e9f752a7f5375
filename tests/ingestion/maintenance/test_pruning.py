"""Old metrics are pruned, and the ledger still proves everything else."""

import threading

import pytest

from ingestion.landing.consumer import land
from ingestion.maintenance import pruning
from lakehouse.errors import PermanentError
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.ingestion.maintenance.pruned_metrics import (
    LOSS,
    NEW,
    OLD,
    TOPIC,
    execute,
    fill,
    lake_rows,
    ledger_of,
    prune_before,
    raw_rows,
    send,
)


@pytest.fixture(autouse=True)
def _without_slack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "SLACK_DAYS", 0)


@pytest.fixture
def border(pipeline: Settings) -> float:
    return fill(pipeline, OLD, NEW)


def test_what_is_older_than_the_retention_is_pruned_and_the_ledger_still_balances(
    pipeline: Settings, border: float
) -> None:
    before = ledger_of(pipeline)
    assert prune_before(pipeline, border) == OLD + 1
    assert raw_rows(pipeline) == NEW
    assert lake_rows(pipeline) < OLD + NEW
    after = ledger_of(pipeline)
    assert after.problems == []
    assert (after.produced, after.pruned, after.landed, after.loaded) == (before.produced, OLD + 1, NEW, NEW)
    assert after.produced == after.pruned + after.landed + after.absent + (after.unlanded or 0)
    assert prune_before(pipeline, border) == 0
    with connect(pipeline.require("dsn_serving")) as connection:
        rows = connection.execute(
            "SELECT sum(next_offset - first_offset), sum(rows), sum(rejected), bool_and(pruned_at >= planned_at) "
            "FROM ops.pruned_range WHERE topic = %s", [TOPIC],
        ).fetchall()  # fmt: skip
    assert rows == [(OLD + 1, OLD + 1, 1, True)]


def test_what_is_not_loaded_yet_is_not_pruned(pipeline: Settings, border: float) -> None:
    send(pipeline, range(1000, 1010))
    land(pipeline, threading.Event(), drain=True)
    assert prune_before(pipeline, border + 3600) == OLD + NEW + 1
    after = ledger_of(pipeline)
    assert (after.problems, after.landed, after.waiting) == ([], 10, 10)


def test_nothing_is_pruned_while_the_ledger_does_not_balance(pipeline: Settings, border: float) -> None:
    execute(pipeline, LOSS)
    rows = lake_rows(pipeline)
    assert prune_before(pipeline, border) == 0
    assert lake_rows(pipeline) == rows


def test_the_lake_of_another_installation_deletes_nothing_of_this_warehouse(pipeline: Settings, border: float) -> None:
    """The lake has pruned offsets that this warehouse, which was filled from another Kafka log, still has."""
    execute(pipeline, "CREATE TABLE raw.own AS SELECT * FROM raw.okr_system_metrics ORDER BY logged_at LIMIT 5")
    prune_before(pipeline, border)
    execute(pipeline, "INSERT INTO raw.okr_system_metrics SELECT * FROM raw.own")
    execute(pipeline, f"UPDATE raw.load_watermark SET log_id = 'other/log' WHERE topic = '{TOPIC}'")
    with pytest.raises(PermanentError, match=r"from the Kafka log other/log .* Nothing was pruned. Set OKR_LAKE_URI"):
        prune_before(pipeline, border)
    assert raw_rows(pipeline) == NEW + 5


def test_a_file_of_several_partitions_is_removed_in_the_run_that_prunes_the_last_of_them(
    pipeline: Settings, border: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    due = pruning._due
    with monkeypatch.context() as first_run:
        first_run.setattr(pruning, "_due", lambda *arguments: due(*arguments)[:1])
        first = prune_before(pipeline, border)
    assert (first > 0, lake_rows(pipeline)) == (True, OLD + NEW + 1)
    assert prune_before(pipeline, border) == OLD + 1 - first
    assert lake_rows(pipeline) == NEW
    assert ledger_of(pipeline).problems == []
