"""Old metrics are pruned, and the ledger still proves everything else."""

import threading

import polars as pl
import pytest

from ingestion.delta.log import DeltaLog
from ingestion.delta.torn_commits import torn_reason
from ingestion.landing.consumer import land
from ingestion.maintenance import pruning
from lakehouse.errors import InvariantBroken
from lakehouse.lake import open_table, table_uri
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.ingestion.maintenance.pruned_metrics import TOPIC, fill, ledger_of, prune_before, raw_rows, send

OLD, NEW = 60, 20
OLDEST = "(SELECT min(kafka_offset) FROM raw.okr_system_metrics)"
LOSS = f"DELETE FROM raw.okr_system_metrics WHERE kafka_offset = {OLDEST}"


@pytest.fixture(autouse=True)
def _without_slack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "SLACK_DAYS", 0)


@pytest.fixture
def border(pipeline: Settings) -> float:
    return fill(pipeline, OLD, NEW)


def lake_rows(settings: Settings) -> int:
    return int(pl.scan_delta(open_table(table_uri(settings.lake_uri, TOPIC))).collect().height)


def execute(settings: Settings, statement: str) -> None:
    with connect(settings.require("dsn_owner")) as connection:
        connection.execute(statement.encode())


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


def test_a_commit_that_a_power_cut_has_torn_is_found(pipeline: Settings, border: float) -> None:
    prune_before(pipeline, border)
    delta_log = DeltaLog(table_uri(pipeline.lake_uri, TOPIC))
    commit = delta_log.commit(delta_log.commits()[-1]).read_bytes()
    assert torn_reason(commit) == ""
    lines = commit.splitlines(keepends=True)
    assert all(torn_reason(b"".join(lines[:number]).rstrip(b"\n")) for number in range(1, len(lines)))


def test_the_record_says_which_rows_were_pruned_and_when(pipeline: Settings, border: float) -> None:
    prune_before(pipeline, border)
    with connect(pipeline.require("dsn_serving")) as connection:
        rows = connection.execute(
            "SELECT sum(next_offset - first_offset), sum(rows), sum(rejected), bool_and(pruned_at >= planned_at) "
            "FROM ops.pruned_range WHERE topic = %s", [TOPIC],
        ).fetchall()  # fmt: skip
    assert rows == [(OLD + 1, OLD + 1, 1, True)]


@pytest.mark.parametrize("lost", ["raw", "lake"])
def test_a_loss_of_what_was_not_pruned_is_still_found(pipeline: Settings, border: float, lost: str) -> None:
    prune_before(pipeline, border)
    if lost == "raw":
        newest = "(SELECT max(kafka_offset) FROM raw.okr_system_metrics)"
        execute(pipeline, f"DELETE FROM raw.okr_system_metrics WHERE kafka_offset = {newest}")
    else:
        open_table(table_uri(pipeline.lake_uri, TOPIC)).delete("rejection_reason IS NULL")
    assert ledger_of(pipeline).problems


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


@pytest.mark.parametrize("restored", ["PostgreSQL", "the lake"])
def test_either_record_is_enough_after_the_other_was_restored_to_an_earlier_state(
    pipeline: Settings, border: float, restored: str
) -> None:
    uri = table_uri(pipeline.lake_uri, TOPIC)
    version = open_table(uri).version()
    execute(pipeline, "CREATE TABLE raw.kept AS SELECT * FROM raw.okr_system_metrics ORDER BY logged_at LIMIT 5")
    prune_before(pipeline, border)
    if restored == "the lake":
        open_table(uri).restore(version)
        assert lake_rows(pipeline) == OLD + NEW + 1
        assert ledger_of(pipeline).problems == []
        assert prune_before(pipeline, border) == 0
        return
    execute(pipeline, "DELETE FROM ops.pruned_range")
    execute(pipeline, "INSERT INTO raw.okr_system_metrics SELECT * FROM raw.kept")
    assert ledger_of(pipeline).problems == []
    assert prune_before(pipeline, border) == 0
    assert raw_rows(pipeline) == NEW


def test_rows_of_raw_that_differ_from_the_plan_are_not_deleted(
    pipeline: Settings, border: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete = pruning.complete

    def after_a_loss(*arguments: object) -> None:
        execute(pipeline, LOSS)
        complete(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(pruning, "_commit", lambda *_: monkeypatch.setattr(pruning, "complete", after_a_loss))
    with pytest.raises(InvariantBroken, match="Nothing was deleted"):
        prune_before(pipeline, border)
    assert raw_rows(pipeline) >= OLD + NEW - 2  # at most one row of each partition has that offset
