"""Published views are stable: grants, comments and query results survive a publication."""

import threading
import time

import psycopg
import pytest

from lakehouse.errors import PermanentError, RetryableError
from lakehouse.publishing import locks, old_versions, publication
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.lakehouse.marts import BOTH, Connection, publish, publish_with, swap, versions
from tests.publications import passed


@pytest.mark.parametrize("isolation", [psycopg.IsolationLevel.READ_COMMITTED, psycopg.IsolationLevel.REPEATABLE_READ])
def test_a_prepared_statement_in_a_transaction_never_loses_its_rows_to_a_publication(
    warehouse: Settings, analyst: Connection, isolation: psycopg.IsolationLevel
) -> None:
    # Its plan lacks partitions attached later, and PostgreSQL does not plan again within a transaction.
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


def test_a_transaction_sees_one_publication_even_in_marts_it_reads_last(
    warehouse: Settings, analyst: Connection
) -> None:
    first = publish(warehouse, 1)
    analyst.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    analyst.execute("SELECT 1 FROM marts.one")
    for value in range(2, 7):
        publish(warehouse, value)
    assert analyst.execute("SELECT value FROM marts.two").fetchone() == (1,)
    assert analyst.execute("SELECT publication_id FROM marts.publication").fetchone() == (first.publication_id,)


def test_a_half_read_cursor_can_be_read_to_its_end(warehouse: Settings, analyst: Connection) -> None:
    publish_with(warehouse, 1, "INSERT INTO marts_build.one SELECT 1 FROM generate_series(1, 999)")
    with analyst.cursor("half") as cursor:
        cursor.execute("SELECT value FROM marts.one")
        read = cursor.fetchmany(10)
        for value in range(2, 7):
            publish(warehouse, value)
        read += cursor.fetchall()
    assert read == [(1,)] * 1_000


def test_unused_versions_are_dropped_and_versions_in_use_are_not(
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


def test_the_next_publication_finishes_an_interrupted_detachment(
    warehouse: Settings, analyst: Connection, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    # thingsboard/thingsboard#8271: "already pending detach"; DependencyTrack/hyades-apiserver#2197.
    for value in range(1, 4):
        publish(warehouse, value)
    monkeypatch.setattr(old_versions, "_is_busy", lambda _: False)
    monkeypatch.setattr(old_versions, "WAIT_MS", 200)
    analyst.execute("SELECT 1 FROM marts.one")
    publish(warehouse, 4)
    assert owner.execute("SELECT count(*) FROM pg_inherits WHERE inhdetachpending").fetchone() == (1,)
    assert analyst.execute(BOTH).fetchone() == (4, 4)
    analyst.rollback()
    publish(warehouse, 5)
    assert versions(owner) == ["marts_v3", "marts_v4", "marts_v5"]


def test_the_cleanup_waits_for_long_queries_if_many_versions_have_accumulated(
    warehouse: Settings, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_versions, "MAX_UNUSED_VERSIONS", 1)
    for value in range(1, 5):
        publish(warehouse, value)
    monkeypatch.setattr(old_versions, "_is_busy", lambda _: True)
    publish(warehouse, 5)
    assert len(versions(owner)) == 3 + 1
    publish(warehouse, 6)
    assert len(versions(owner)) == 3


def test_grants_and_comments_survive_publications(warehouse: Settings, owner: Connection) -> None:
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
    analyst.execute("SELECT 1 FROM marts.two")  # its snapshot is from publication 1
    publish_with(warehouse, 2, "ALTER TABLE marts_build.one ADD COLUMN more text DEFAULT 'x'")
    assert analyst.execute("SELECT value, more FROM marts.one").fetchone() == (1, None)


def test_changed_columns_wait_for_a_long_query_without_blocking_others(
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
    assert swap(warehouse, passed("run-2")).publication_id > 1  # the build still exists


def test_a_view_of_another_owner_is_never_dropped(warehouse: Settings, owner: Connection) -> None:
    # dbt-labs/dbt-core#2185: "dropping a view will also drop dependent views".
    publish(warehouse, 1)
    owner.execute("CREATE VIEW intermediate.theirs AS SELECT value FROM marts.one")
    publish(warehouse, 2)
    assert owner.execute("SELECT value FROM intermediate.theirs").fetchone() == (2,)
    with pytest.raises(PermanentError, match=r"intermediate\.theirs"):
        publish_with(warehouse, 3, "ALTER TABLE marts_build.one ADD COLUMN more text")
    assert owner.execute("SELECT value FROM intermediate.theirs").fetchone() == (2,)


def test_a_removed_mart_disappears_and_a_rollback_restores_it(warehouse: Settings, owner: Connection) -> None:
    publish(warehouse, 1)
    publish_with(warehouse, 2, "DROP TABLE marts_build.one", "CREATE TABLE marts_build.three AS SELECT 3 AS value")
    with pytest.raises(psycopg.errors.UndefinedTable):
        owner.execute("SELECT * FROM marts.one")
    assert owner.execute("SELECT value FROM marts.three").fetchone() == (3,)
    publication.rollback(warehouse.require("dsn_transform"))
    assert owner.execute("SELECT value FROM marts.one").fetchone() == (1,)
    with pytest.raises(psycopg.errors.UndefinedTable):
        owner.execute("SELECT * FROM marts.three")


def test_the_planner_expects_the_rows_of_one_version_although_three_are_attached(
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
    enabled = owner.execute(
        "SELECT relname FROM pg_class WHERE relnamespace::regnamespace::text LIKE 'marts_v%' AND relkind = 'r' "
        "AND NOT coalesce('autovacuum_enabled=false' = ANY (reloptions), false)"
    )
    assert enabled.fetchall() == [], "an analysis by autovacuum would replace the statistics of old versions"
    assert 4_500 < plan[0][0]["Plan"]["Plan Rows"] < 5_500
