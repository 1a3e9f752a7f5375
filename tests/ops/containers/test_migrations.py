"""The job `migrate` of compose and Kubernetes: services of the earlier release go on, and there is a way back."""

import threading
import time

import psycopg
import pytest

from infra.containers.migrations import migrate_warehouse
from infra.migrations.online import LOCK_S
from infra.migrations.revert import revert
from infra.migrations.revisions import VERSION_TABLE, scripts
from lakehouse.settings import Settings
from lakehouse.warehouse import connect

HEAD = str(scripts().get_current_head())
BEFORE = "0048"  # the next one changes READ
READ = "SELECT count(*) FROM ops.ledger_partition"
BUSY_S = 2 * LOCK_S


def test_pods_of_the_earlier_release_read_while_the_job_waits_for_a_long_transaction(fresh_database: Settings) -> None:
    """As in https://github.com/margince/margince/issues/1806 and https://github.com/coder/coder/issues/21309."""
    dsn, said, found = fresh_database.require("dsn_owner"), list[str](), list[str]()
    revert(dsn, BEFORE)
    job = threading.Thread(target=lambda: found.append(migrate_warehouse(dsn, said.append)))
    with psycopg.connect(dsn) as report, psycopg.connect(dsn, autocommit=True) as pod:
        report.execute(READ)
        job.start()
        until, longest = time.monotonic() + BUSY_S, 0.0
        while time.monotonic() < until:
            started = time.monotonic()
            pod.execute(READ)
            longest = max(longest, time.monotonic() - started)
            time.sleep(0.01)
    job.join(60)
    assert found == [HEAD], said
    assert any("Trying again" in line for line in said), said
    assert longest < LOCK_S + 1


def test_an_earlier_release_starts_on_the_schema_of_a_later_one(fresh_database: Settings) -> None:
    """`docker compose up` with the old images runs the old release's job, on which its services depend."""
    dsn, said = fresh_database.require("dsn_owner"), list[str]()
    with connect(dsn) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'".encode())
    assert migrate_warehouse(dsn, said.append) == "9999"
    assert said == ["A later release has migrated the warehouse to revision 9999, so there is nothing to do."]


def test_an_empty_database_gets_all_revisions(fresh_database: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that contract, which nobody needs any more."""
    calls = []
    monkeypatch.setattr("infra.containers.migrations.migrate", lambda dsn: calls.append(dsn) or HEAD)
    dsn = fresh_database.require("dsn_owner")
    with connect(dsn) as connection:
        connection.execute(f"DELETE FROM {VERSION_TABLE}".encode())
    assert migrate_warehouse(dsn, lambda _: None) == HEAD
    assert calls == [dsn]
