"""Publishers: each build is published once and atomically, by one publisher at a time, without blocking by readers."""

import threading
from collections.abc import Callable

import psycopg
import pytest

from lakehouse.errors import PermanentError, RetryableError
from lakehouse.publishing import locks, marts_build, old_versions, publication, views
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.lakehouse.marts import BOTH, Connection, build, publish, swap, versions
from tests.publications import passed


def test_publishing_again_after_the_commit_returns_the_same_publication(warehouse: Settings) -> None:
    first = publish(warehouse, 1)
    assert swap(warehouse, passed("run-1")) == first
    build(warehouse, 2)
    again = swap(warehouse, passed("run-1"))
    assert again == first
    second = swap(warehouse, passed("run-2"))
    assert swap(warehouse, passed("run-1")).is_current is False
    assert publication.current(warehouse.require("dsn_serving")) == second


def test_a_run_that_builds_again_publishes_again(warehouse: Settings) -> None:
    assert publish(warehouse, 1).publication_id < publish(warehouse, 1).publication_id


def test_a_publisher_that_dies_before_its_commit_leaves_everything_as_it_was(
    warehouse: Settings, analyst: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(warehouse, 1)
    build(warehouse, 2)
    with monkeypatch.context() as dying:
        dying.setattr(
            views,
            "commit",
            lambda connection: connection.execute("SELECT pg_terminate_backend(pg_backend_pid())"),
        )
        with pytest.raises(psycopg.OperationalError):
            swap(warehouse, passed("run-2"))
    analyst.autocommit = True
    assert analyst.execute(BOTH).fetchone() == (1, 1)
    assert swap(warehouse, passed("run-2")).is_current
    assert analyst.execute(BOTH).fetchone() == (2, 2)


def test_the_schema_comment_describes_the_build(warehouse: Settings) -> None:
    dsn = warehouse.require("dsn_transform")
    assert marts_build.build_state(dsn) == marts_build.Build(None, {}, None)
    build(warehouse, 1)
    assert marts_build.build_state(dsn).run_id == "run-1"
    assert marts_build.build_state(dsn).published_as is None
    published = swap(warehouse, passed("run-1"))
    assert marts_build.build_state(dsn).published_as == published.publication_id


@pytest.mark.parametrize(
    "statement",
    [
        "LOCK TABLE publishing.publisher IN ACCESS SHARE MODE",
        "LOCK TABLE publishing.barrier IN ACCESS SHARE MODE",
        "LOCK TABLE marts.one IN ROW EXCLUSIVE MODE",
        "LOCK TABLE marts.one IN ACCESS EXCLUSIVE MODE",
        "SELECT * FROM marts.one FOR UPDATE",
        "SELECT * FROM publishing.switch",
        "SELECT publishing.newest_attachment()",
        "SELECT * FROM marts_store.one",
        "SELECT * FROM marts_v1.one",
        "UPDATE marts.one SET value = 7",
    ],
)
def test_a_reader_can_neither_block_a_publisher_nor_read_the_tables_behind_the_views(
    warehouse: Settings, analyst: Connection, statement: str
) -> None:
    publish(warehouse, 1)
    analyst.execute("SET default_transaction_read_only = off")
    analyst.commit()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        analyst.execute(statement.encode())


def test_a_publisher_waits_for_another_for_a_limited_time(
    warehouse: Settings, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "PUBLISHER_S", 1)
    with owner.transaction():
        owner.execute("LOCK TABLE publishing.publisher IN EXCLUSIVE MODE")
        with pytest.raises(
            RetryableError, match=rf"Another publication.*pid {owner.info.backend_pid}.*holds publishing\.pub"
        ):
            marts_build.prepare_build(warehouse.require("dsn_transform"), "run-1")


@pytest.mark.parametrize("step", ["publish", "prepare", "rollback"])
def test_the_error_names_the_session_that_blocks_a_publisher(
    warehouse: Settings, owner: Connection, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    publish(warehouse, 1), publish(warehouse, 2)
    build(warehouse, 3)
    monkeypatch.setattr(locks, "PUBLISHER_S", 1)
    steps: dict[str, tuple[str, Callable[[], object]]] = {
        "publish": ("marts_build.one", lambda: swap(warehouse, passed("run-3"))),
        "prepare": ("marts_build.one", lambda: marts_build.prepare_build(warehouse.require("dsn_transform"), "run-4")),
        "rollback": ("publishing.switch", lambda: publication.rollback(warehouse.require("dsn_transform"))),
    }
    table, act = steps[step]
    with owner.transaction():
        owner.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        with pytest.raises(RetryableError, match=rf"okr_transform \(pid {owner.info.backend_pid}.* holds {table}"):
            act()
    act()


def test_publishing_a_rolled_back_run_again_fails(warehouse: Settings) -> None:
    publish(warehouse, 1), publish(warehouse, 2)
    publication.rollback(warehouse.require("dsn_transform"))
    publication.resume(warehouse.require("dsn_transform"))
    with pytest.raises(PermanentError, match="was rolled back and cannot be published again"):
        swap(warehouse, passed("run-2"))
    assert swap(warehouse, passed("run-1")).is_current


def test_the_cleanup_of_old_versions_has_one_time_limit_for_all_marts(
    warehouse: Settings, analyst: Connection, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in range(1, 5):
        publish(warehouse, value)
    monkeypatch.setattr(old_versions, "MAX_UNUSED_VERSIONS", 0)
    monkeypatch.setattr(locks, "READERS_S", 3.0)
    dsns = warehouse.require("dsn_analyst"), warehouse.require("dsn_transform")
    with connect(dsns[0]) as another, connect(dsns[1]) as publisher:
        analyst.execute("SELECT 1 FROM marts.one")
        another.execute("SELECT 1 FROM marts.two")
        release = threading.Timer(0.5, analyst.rollback)
        release.start()
        old_versions.drop_old_versions(publisher, 1)
        release.join()
        assert versions(owner) == ["marts_v2", "marts_v3", "marts_v4"]
        left = publisher.execute("SELECT setting::int FROM pg_settings WHERE name = 'lock_timeout'").fetchone()
    assert left is not None
    assert int(str(left[0])) < 2600, "the time spent waiting for the first mart is not available to the others"
