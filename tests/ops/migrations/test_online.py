"""Migrations while services run: readers are blocked for a bounded time, and revisions that contract wait."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from alembic.script import Script

from infra.migrations import online, revisions
from infra.migrations.online import BLOCKED_S, list_outstanding, migrate_online
from infra.migrations.revert import revert
from infra.migrations.revisions import scripts
from lakehouse.connection_limits import Limits
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.settings import Settings
from tests.figures import report

HEAD = str(scripts().get_current_head())
OLD, NEW = "0048", "0049"  # 0049 changes ops.ledger first and ops.ledger_partition last


@pytest.fixture
def outdated(fresh_database: Settings) -> Settings:
    """A database at OLD."""
    revert(fresh_database.require("dsn_owner"), OLD)
    return fresh_database


@contextmanager
def reading(settings: Settings, table: str) -> Iterator[None]:
    """Hold the lock of a reader on a table."""
    with psycopg.connect(settings.require("dsn_owner"), application_name="a-long-report") as connection:
        connection.execute(f"SELECT count(*) FROM {table}".encode())
        yield


@contextmanager
def repeated_reads(settings: Settings, table: str) -> Iterator[list[float]]:
    """Read a table again and again; yield the seconds that each read took."""
    stop, took = threading.Event(), list[float]()

    def read() -> None:
        with psycopg.connect(settings.require("dsn_owner"), autocommit=True) as connection:
            while not stop.wait(0.01):
                started = time.monotonic()
                connection.execute(f"SELECT count(*) FROM {table}".encode())
                took.append(time.monotonic() - started)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield took
    finally:
        stop.set()
        thread.join(30)


def revision_of(settings: Settings) -> str:
    with psycopg.connect(settings.require("dsn_owner")) as connection:
        row = connection.execute("SELECT version_num FROM schema_version").fetchone()
    assert row is not None
    return str(row[0])


def test_a_long_transaction_delays_the_migration_but_blocks_no_reader_for_longer_than_the_limit(
    outdated: Settings,
) -> None:
    said = list[str]()
    with repeated_reads(outdated, "ops.ledger") as took:
        with reading(outdated, "ops.ledger_partition"):
            work = threading.Thread(
                target=migrate_online, args=(outdated.require("dsn_owner"),), kwargs={"say": said.append}
            )
            started = time.monotonic()
            work.start()
            while not said:
                assert time.monotonic() - started < 30
                time.sleep(0.01)
        work.join(30)
        total = time.monotonic() - started
    assert "lock timeout" in said[0]
    assert f"Revision {NEW} is done." in said
    assert revision_of(outdated) == HEAD
    assert 1.0 < max(took) <= BLOCKED_S, "the migration held a lock on ops.ledger while it waited for the next one"
    report(
        "A migration while a report reads one of its tables",
        ("limit", "longest wait of another reader", "tries", "time of the migration"),
        [(f"{BLOCKED_S} s", f"{max(took):.1f} s", str(len(said)), f"{total:.1f} s")],
    )


def test_a_table_that_stays_locked_gives_one_line_that_names_the_session(outdated: Settings) -> None:
    with reading(outdated, "ops.ledger"), pytest.raises(RetryableError) as failed:
        migrate_online(outdated.require("dsn_owner"), try_for_s=0.1, say=lambda _: None)
    assert "\n" not in str(failed.value).strip()
    assert "lock timeout" in str(failed.value)
    assert "Sessions with long transactions: a-long-report (pid " in str(failed.value)
    assert revision_of(outdated) == OLD
    migrate_online(outdated.require("dsn_owner"))
    assert revision_of(outdated) == HEAD


def test_a_revision_that_takes_too_long_in_total_is_rolled_back(
    outdated: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online, "BLOCKED_S", 0.5)
    monkeypatch.setattr(online, "LIMITS", Limits(statement_s=60, lock_s=60, idle_s=60))
    with (
        reading(outdated, "ops.ledger"),
        pytest.raises(RetryableError, match="canceling statement due to user request"),
    ):
        migrate_online(outdated.require("dsn_owner"), try_for_s=0.1, say=lambda _: None)
    assert revision_of(outdated) == OLD


def test_revisions_that_contract_wait_for_their_own_command(
    fresh_database: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = fresh_database.require("dsn_owner")
    newest, second, third = (script.revision for script in list(scripts().walk_revisions())[:3])
    contracting = {newest}

    def is_contract(script: Script) -> bool:
        return script.revision in contracting

    for module in (revisions, online):
        monkeypatch.setattr(module, "is_contract", is_contract)
    revert(dsn, third)
    assert migrate_online(dsn) == second
    assert [line.partition(":")[0] for line in list_outstanding(dsn)] == [f"{newest} contract"]
    assert migrate_online(dsn, contracts=True) == newest
    revert(dsn, third)
    contracting = {second}
    expected = f"Revision {second} contracts the schema and stands before revision {newest}"
    with pytest.raises(PermanentError, match=expected):
        migrate_online(dsn)
    assert revision_of(fresh_database) == third


def test_a_database_of_a_later_release_is_refused_with_one_line(fresh_database: Settings) -> None:
    with psycopg.connect(fresh_database.require("dsn_owner")) as connection:
        connection.execute("UPDATE schema_version SET version_num = '9999'")
    with pytest.raises(PermanentError, match=r"does not know the database's revision \(9999\)"):
        migrate_online(fresh_database.require("dsn_owner"))
