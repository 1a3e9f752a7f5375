"""Pruning is killed before and after each of its steps; losses, torn commits and restored backups around it.

After a kill, the ledger balances, and the next run does the rest.
"""

from pathlib import Path

import psycopg
import pytest
from structlog.testing import capture_logs

from infra.migrations.migrate import migrate
from infra.migrations.revert import revert
from ingestion.delta.log import DeltaLog
from ingestion.delta.torn_commits import torn_reason
from ingestion.maintenance import pruning
from lakehouse.errors import InvariantBroken
from lakehouse.lake import open_table, table_uri
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.ingestion.crash import run_until_killed
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
)

AFTER = """
def after(step):
    def injected(*arguments):
        step(*arguments)
        die()
    return injected
"""
STEPS = {
    "before it plans": "pruning._plan = die",
    "between the plan and the commit": "pruning._commit = die",
    "during the commit": "pruning.commit = after(pruning.commit)",
    "between the commit and the deletion from raw": "pruning._commit = after(pruning._commit)",
    "between the deletions of two partitions": "pruning._delete = after(pruning._delete)",
    "after it has finished": "",
}
COMMAND = f"""
from datetime import UTC, datetime
from lakehouse.lake import open_table, table_uri
uri = table_uri(settings.lake_uri, {TOPIC!r})
pruning.SLACK_DAYS = 0
pruning.prune(settings, {TOPIC!r}, open_table(uri), uri, datetime.fromtimestamp(BORDER, UTC))
die()
"""

LEDGER_ROW = """
INSERT INTO ops.ledger (
    verified_at, topic, produced, unlanded, pruned, landed, rejected, absent, loaded, waiting, distinct_events,
    duplicates, passed, problems
)
VALUES (now(), 'okr_system_metrics', 10, 0, 3, 7, 0, 0, 7, 0, 7, 0, true, '{}')
"""
RANGE = """
INSERT INTO ops.pruned_range (
    log_id, topic, kafka_partition, first_offset, next_offset, rows, rejected, valid_offset_sum
)
VALUES ('log', 'okr_system_metrics', 0, 0, 5, 5, 0, 10)
"""


@pytest.fixture(autouse=True)
def _without_slack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "SLACK_DAYS", 0)


@pytest.fixture
def border(pipeline: Settings) -> float:
    return fill(pipeline, OLD, NEW)


@pytest.mark.parametrize("step", STEPS)
def test_pruning_is_killed(step: str, pipeline: Settings, border: float, tmp_path: Path) -> None:
    arm = f"from ingestion.maintenance import pruning\n{AFTER}\n{STEPS[step]}"
    run_until_killed(pipeline, arm, COMMAND.replace("BORDER", str(border)), tmp_path)
    assert ledger_of(pipeline).problems == []
    prune_before(pipeline, border)
    after = ledger_of(pipeline)
    assert (after.problems, after.pruned, after.landed, after.loaded) == ([], OLD + 1, NEW, NEW)
    assert raw_rows(pipeline) == NEW


def test_a_commit_that_a_power_cut_has_torn_is_found(pipeline: Settings, border: float) -> None:
    prune_before(pipeline, border)
    delta_log = DeltaLog(table_uri(pipeline.lake_uri, TOPIC))
    commit = delta_log.commit(delta_log.commits()[-1]).read_bytes()
    assert torn_reason(commit) == ""
    lines = commit.splitlines(keepends=True)
    assert all(torn_reason(b"".join(lines[:number]).rstrip(b"\n")) for number in range(1, len(lines)))


@pytest.mark.parametrize("lost", ["raw", "lake"])
def test_a_loss_of_what_was_not_pruned_is_still_found(pipeline: Settings, border: float, lost: str) -> None:
    prune_before(pipeline, border)
    if lost == "raw":
        newest = "(SELECT max(kafka_offset) FROM raw.okr_system_metrics)"
        execute(pipeline, f"DELETE FROM raw.okr_system_metrics WHERE kafka_offset = {newest}")
    else:
        open_table(table_uri(pipeline.lake_uri, TOPIC)).delete("rejection_reason IS NULL")
    assert ledger_of(pipeline).problems


@pytest.mark.parametrize("restored", ["PostgreSQL", "the lake"])
def test_either_record_is_enough_after_the_other_was_restored_to_an_earlier_state(
    pipeline: Settings, border: float, restored: str
) -> None:
    uri = table_uri(pipeline.lake_uri, TOPIC)
    version = open_table(uri).version()
    execute(pipeline, "CREATE TABLE raw.kept AS SELECT * FROM raw.okr_system_metrics ORDER BY logged_at LIMIT 5")
    prune_before(pipeline, border)
    if restored == "the lake":
        for number in (each for each in DeltaLog(uri).commits() if each > version):
            DeltaLog(uri).commit(number).unlink()
        assert lake_rows(pipeline) == OLD + NEW + 1
        assert ledger_of(pipeline).problems == []
        assert prune_before(pipeline, border) == 0
        return
    execute(pipeline, "DELETE FROM ops.pruned_range")
    execute(pipeline, "INSERT INTO raw.okr_system_metrics SELECT * FROM raw.kept")
    assert ledger_of(pipeline).problems == []
    with capture_logs() as logged:
        assert prune_before(pipeline, border) == 0
    assert raw_rows(pipeline) == NEW
    without_plan = [each for each in logged if "without a plan" in each["event"]]
    assert sum(each["rows"] for each in without_plan) == 5
    assert {each["log_level"] for each in without_plan} == {"warning"}


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


def test_the_migration_can_be_reverted_and_applied_again(fresh_database: Settings) -> None:
    """The rows of the ledger are kept; the table of ranges is dropped, and has its constraints again afterwards."""
    execute(fresh_database, LEDGER_ROW)
    revert(fresh_database.require("dsn_owner"), to="0048")
    with pytest.raises(psycopg.errors.UndefinedTable):
        execute(fresh_database, RANGE)
    migrate(fresh_database.require("dsn_owner"))
    with connect(fresh_database.require("dsn_loader")) as connection:
        kept = connection.execute("SELECT topic, landed, pruned FROM ops.ledger").fetchall()
        assert kept == [(TOPIC, 7, 0)]
        connection.execute(RANGE)  # by the loader, which needs its grant
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(RANGE)
