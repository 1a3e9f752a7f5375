"""Readers know views that stay: their rights, comments and answers, whatever a publication replaces behind them."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from lakehouse import publication
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.publishing import locks, outdated, views
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.lakehouse.marts import build, publish, swap
from tests.publications import passed

Connection = psycopg.Connection[Any]
BOTH = "SELECT one.value, two.value FROM marts.one, marts.two"


@pytest.fixture
def analyst(warehouse: Settings) -> Iterator[Connection]:
    with connect(warehouse.require("dsn_analyst")) as connection:
        yield connection


@pytest.fixture
def owner(warehouse: Settings) -> Iterator[Connection]:
    with connect(warehouse.require("dsn_transform"), autocommit=True) as connection:
        yield connection


def publish_with(settings: Settings, value: int, *statements: str) -> publication.Publication:
    """Build as ever, then change what was built."""
    build(settings, value)
    with connect(settings.require("dsn_transform")) as connection:
        for statement in statements:
            connection.execute(statement.encode())
    return swap(settings, passed(f"run-{value}"))


def versions(connection: Connection) -> list[str]:
    rows = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname ~ '^marts_v' ORDER BY oid").fetchall()
    return [name for (name,) in rows]


@pytest.mark.parametrize("isolation", [psycopg.IsolationLevel.READ_COMMITTED, psycopg.IsolationLevel.REPEATABLE_READ])
def test_a_prepared_statement_in_a_transaction_never_loses_its_rows_to_a_publication(
    warehouse: Settings, analyst: Connection, isolation: psycopg.IsolationLevel
) -> None:
    # Its plan knows no partition that was attached later, and nothing makes PostgreSQL plan again within a transaction.
    publish(warehouse, 1)
    analyst.isolation_level = isolation
    for _ in range(8):
        assert analyst.execute(BOTH, prepare=True).fetchone() == (1, 1)
    for value in range(2, 7):
        publish(warehouse, value)
        answer = analyst.execute(BOTH, prepare=True).fetchone()
        assert answer is not None
        assert answer[0] == answer[1]
    analyst.commit()
    assert analyst.execute(BOTH, prepare=True).fetchone() == (6, 6)


def test_a_prepared_statement_sees_a_rollback(warehouse: Settings, analyst: Connection) -> None:
    publish(warehouse, 1)
    publish(warehouse, 2)
    analyst.autocommit = True
    for _ in range(8):
        assert analyst.execute(BOTH, prepare=True).fetchone() == (2, 2)
    publication.rollback(warehouse.require("dsn_transform"))
    assert analyst.execute(BOTH).fetchone() == (1, 1)
    assert analyst.execute(BOTH, prepare=True).fetchone() == (1, 1)


def test_a_transaction_is_of_one_publication_even_for_marts_that_it_reads_last(
    warehouse: Settings, analyst: Connection
) -> None:
    first = publish(warehouse, 1)
    analyst.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    analyst.execute("SELECT 1 FROM marts.one")
    for value in range(2, 7):
        publish(warehouse, value)
    assert analyst.execute("SELECT value FROM marts.two").fetchone() == (1,)
    assert analyst.execute("SELECT publication_id FROM marts.publication").fetchone() == (first.publication_id,)


def test_a_half_read_cursor_is_read_to_its_end(warehouse: Settings, analyst: Connection) -> None:
    publish_with(warehouse, 1, "INSERT INTO marts_build.one SELECT 1 FROM generate_series(1, 999)")
    with analyst.cursor("half") as cursor:
        cursor.execute("SELECT value FROM marts.one")
        read = cursor.fetchmany(10)
        for value in range(2, 7):
            publish(warehouse, value)
        read += cursor.fetchall()
    assert read == [(1,)] * 1_000


def test_what_nobody_reads_any_more_is_dropped_and_what_somebody_reads_is_not(
    warehouse: Settings, analyst: Connection, owner: Connection
) -> None:
    publish(warehouse, 1)
    analyst.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    analyst.execute("SELECT 1 FROM marts.one")
    for value in range(2, 7):
        publish(warehouse, value)
    assert "marts_v1" in versions(owner)
    analyst.rollback()
    publish(warehouse, 7)
    assert versions(owner) == ["marts_v5", "marts_v6", "marts_v7"]
    assert owner.execute("SELECT count(*) FROM publishing.switch").fetchone() == (3,)


def test_a_detachment_that_was_interrupted_is_finished_by_the_next_publication(
    warehouse: Settings, analyst: Connection, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    # thingsboard/thingsboard#8271: "already pending detach"; DependencyTrack/hyades-apiserver#2197.
    for value in range(1, 4):
        publish(warehouse, value)
    monkeypatch.setattr(outdated, "_is_busy", lambda _: False)
    monkeypatch.setattr(outdated, "WAIT_MS", 200)
    analyst.execute("SELECT 1 FROM marts.one")
    publish(warehouse, 4)
    assert owner.execute("SELECT count(*) FROM pg_inherits WHERE inhdetachpending").fetchone() == (1,)
    assert analyst.execute(BOTH).fetchone() == (4, 4)
    analyst.rollback()
    publish(warehouse, 5)
    assert versions(owner) == ["marts_v3", "marts_v4", "marts_v5"]


def test_many_versions_that_gathered_behind_long_queries_are_waited_for(
    warehouse: Settings, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outdated, "MANY", 1)
    for value in range(1, 5):
        publish(warehouse, value)
    monkeypatch.setattr(outdated, "_is_busy", lambda _: True)
    publish(warehouse, 5)
    assert len(versions(owner)) == 3 + 1
    publish(warehouse, 6)
    assert len(versions(owner)) == 3


def test_rights_and_comments_outlive_publications(warehouse: Settings, owner: Connection) -> None:
    said = (
        "COMMENT ON TABLE marts_build.one IS 'Grain: it''s one.'; COMMENT ON COLUMN marts_build.one.value IS 'So much.'"
    )
    publish_with(warehouse, 1, said)
    owner.execute("GRANT SELECT, REFERENCES ON marts.one TO okr_loader")
    before = owner.execute(
        "SELECT 'marts.one'::regclass::oid, relacl::text FROM pg_class WHERE relname = 'one'"
    ).fetchone()
    publish_with(warehouse, 2, said.replace("So much", "So much more"))
    shown = owner.execute(
        "SELECT obj_description('marts.one'::regclass), col_description('marts.one'::regclass, 1), "
        "has_table_privilege('okr_loader', 'marts.one', 'SELECT')"
    ).fetchone()
    assert shown == ("Grain: it's one.", "So much more.", True)
    after = owner.execute("SELECT oid, relacl::text FROM pg_class WHERE oid = 'marts.one'::regclass").fetchone()
    assert before is not None
    assert after is not None
    assert after[0] == before[0]
    publish_with(warehouse, 3, "ALTER TABLE marts_build.one ADD COLUMN more text")
    changed = owner.execute("SELECT relacl::text FROM pg_class WHERE oid = 'marts.one'::regclass").fetchone()
    assert changed == after[1:]


def test_a_mart_whose_columns_changed_is_shown_with_the_new_ones(warehouse: Settings, analyst: Connection) -> None:
    publish(warehouse, 1)
    publish_with(
        warehouse,
        2,
        "ALTER TABLE marts_build.one ALTER COLUMN value TYPE bigint, ADD COLUMN more text NOT NULL DEFAULT 'x'",
        "ALTER TABLE marts_build.two RENAME COLUMN value TO number",
    )
    analyst.autocommit = True
    assert analyst.execute("SELECT * FROM marts.one, marts.two").fetchone() == (2, "x", 2)
    publish(warehouse, 3)
    assert analyst.execute("SELECT * FROM marts.one, marts.two").fetchone() == (3, 3)
    publication.rollback(warehouse.require("dsn_transform"))
    assert analyst.execute("SELECT value FROM marts.one").fetchone() == (2,)


def test_a_statement_that_waits_while_columns_change_finds_its_rows(warehouse: Settings, analyst: Connection) -> None:
    publish(warehouse, 1)
    analyst.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    analyst.execute("SELECT 1 FROM marts.two")  # its snapshot is of publication 1
    publish_with(warehouse, 2, "ALTER TABLE marts_build.one ADD COLUMN more text DEFAULT 'x'")
    assert analyst.execute("SELECT value, more FROM marts.one").fetchone() == (1, None)


def test_changed_columns_wait_for_a_long_query_without_holding_up_others(
    warehouse: Settings, analyst: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(warehouse, 1)
    analyst.execute("SELECT 1 FROM marts.one")
    monkeypatch.setattr(locks, "READERS_S", 1.0)
    refused: list[Exception] = []

    def change() -> None:
        try:
            publish_with(warehouse, 2, "ALTER TABLE marts_build.one ADD COLUMN more text")
        except RetryableError as error:
            refused.append(error)

    publisher = threading.Thread(target=change)
    publisher.start()
    with connect(warehouse.require("dsn_analyst"), autocommit=True) as other:
        while publisher.is_alive():
            assert other.execute(BOTH).fetchone() == (1, 1)
            time.sleep(0.005)
    publisher.join()
    assert len(refused) == 1
    assert f"analyst (pid {analyst.info.backend_pid}, okr) holds marts.one" in str(refused[0])
    analyst.rollback()
    assert swap(warehouse, passed("run-2")).publication_id > 1  # the build is there still


def test_a_view_of_somebody_elses_is_never_dropped(warehouse: Settings, owner: Connection) -> None:
    # dbt-labs/dbt-core#2185: "dropping a view will also drop dependent views".
    publish(warehouse, 1)
    owner.execute("CREATE VIEW intermediate.theirs AS SELECT value FROM marts.one")
    publish(warehouse, 2)
    assert owner.execute("SELECT value FROM intermediate.theirs").fetchone() == (2,)
    with pytest.raises(PermanentError, match=r"intermediate\.theirs"):
        publish_with(warehouse, 3, "ALTER TABLE marts_build.one ADD COLUMN more text")
    assert owner.execute("SELECT value FROM intermediate.theirs").fetchone() == (2,)


def test_a_mart_that_is_gone_is_gone_and_a_rollback_brings_it_back(warehouse: Settings, owner: Connection) -> None:
    publish(warehouse, 1)
    publish_with(warehouse, 2, "DROP TABLE marts_build.one", "CREATE TABLE marts_build.three AS SELECT 3 AS value")
    with pytest.raises(psycopg.errors.UndefinedTable):
        owner.execute("SELECT * FROM marts.one")
    assert owner.execute("SELECT value FROM marts.three").fetchone() == (3,)
    publication.rollback(warehouse.require("dsn_transform"))
    assert owner.execute("SELECT value FROM marts.one").fetchone() == (1,)
    with pytest.raises(psycopg.errors.UndefinedTable):
        owner.execute("SELECT * FROM marts.three")


def test_publishing_again_after_the_commit_returns_the_same_publication(warehouse: Settings) -> None:
    first = publish(warehouse, 1)
    assert swap(warehouse, passed("run-1")) == first
    build(warehouse, 2)
    again = swap(warehouse, passed("run-1"))
    assert again == first
    second = swap(warehouse, passed("run-2"))
    assert swap(warehouse, passed("run-1")).is_current is False
    assert publication.current(warehouse.require("dsn_serving")) == second


def test_the_same_run_that_builds_again_publishes_again(warehouse: Settings) -> None:
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


def test_marts_build_says_what_it_holds(warehouse: Settings) -> None:
    dsn = warehouse.require("dsn_transform")
    assert publication.build_state(dsn) == publication.Build(None, {}, None)
    build(warehouse, 1)
    assert publication.build_state(dsn).run_id == "run-1"
    assert publication.build_state(dsn).published_as is None
    published = swap(warehouse, passed("run-1"))
    assert publication.build_state(dsn).published_as == published.publication_id


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
def test_a_reader_cannot_take_a_lock_that_a_publisher_needs_nor_look_behind_the_views(
    warehouse: Settings, analyst: Connection, statement: str
) -> None:
    publish(warehouse, 1)
    analyst.execute("SET default_transaction_read_only = off")
    analyst.commit()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        analyst.execute(statement.encode())


def test_a_publisher_waits_for_another_no_longer_than_said(
    warehouse: Settings, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "PUBLISHER_S", 1)
    with owner.transaction():
        owner.execute("LOCK TABLE publishing.publisher IN EXCLUSIVE MODE")
        with pytest.raises(
            RetryableError, match=rf"Another publication.*pid {owner.info.backend_pid}.*holds publishing\.pub"
        ):
            publication.prepare_build(warehouse.require("dsn_transform"), "run-1")


@pytest.mark.parametrize("step", ["publish", "prepare", "rollback"])
def test_who_uses_what_a_publisher_needs_for_itself_is_named(
    warehouse: Settings, owner: Connection, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    publish(warehouse, 1), publish(warehouse, 2)
    build(warehouse, 3)
    monkeypatch.setattr(locks, "PUBLISHER_S", 1)
    steps: dict[str, tuple[str, Callable[[], object]]] = {
        "publish": ("marts_build.one", lambda: swap(warehouse, passed("run-3"))),
        "prepare": ("marts_build.one", lambda: publication.prepare_build(warehouse.require("dsn_transform"), "run-4")),
        "rollback": ("publishing.switch", lambda: publication.rollback(warehouse.require("dsn_transform"))),
    }
    table, act = steps[step]
    with owner.transaction():
        owner.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        with pytest.raises(RetryableError, match=rf"okr_transform \(pid {owner.info.backend_pid}.* holds {table}"):
            act()
    act()


def test_a_run_that_was_rolled_back_is_not_said_to_be_published(warehouse: Settings) -> None:
    publish(warehouse, 1), publish(warehouse, 2)
    publication.rollback(warehouse.require("dsn_transform"))
    publication.resume(warehouse.require("dsn_transform"))
    with pytest.raises(PermanentError, match="was rolled back and is not shown again"):
        swap(warehouse, passed("run-2"))
    assert swap(warehouse, passed("run-1")).is_current


def test_dropping_what_is_outdated_has_one_limit_for_all_marts_together(
    warehouse: Settings, analyst: Connection, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in range(1, 5):
        publish(warehouse, value)
    monkeypatch.setattr(outdated, "MANY", 0)
    monkeypatch.setattr(locks, "READERS_S", 3.0)
    dsns = warehouse.require("dsn_analyst"), warehouse.require("dsn_transform")
    with connect(dsns[0]) as another, connect(dsns[1]) as publisher:
        analyst.execute("SELECT 1 FROM marts.one")
        another.execute("SELECT 1 FROM marts.two")
        release = threading.Timer(0.5, analyst.rollback)
        release.start()
        outdated.drop_outdated(publisher, 1)
        release.join()
        assert versions(owner) == ["marts_v2", "marts_v3", "marts_v4"]
        left = publisher.execute("SELECT setting::int FROM pg_settings WHERE name = 'lock_timeout'").fetchone()
    assert left is not None
    assert int(str(left[0])) < 2600, "what the first mart was waited for is left to no other"


def test_the_planner_expects_the_rows_of_one_version_though_three_are_kept(
    warehouse: Settings, owner: Connection
) -> None:
    for value in range(1, 5):
        publish_with(
            warehouse,
            value,
            "INSERT INTO marts_build.one SELECT 1 FROM generate_series(1, 4999)",
            "ANALYZE marts_build.one",
        )
    plan = owner.execute("EXPLAIN (FORMAT json) SELECT * FROM marts.one").fetchone()
    assert plan is not None
    assert 4_500 < plan[0][0]["Plan"]["Plan Rows"] < 5_500
