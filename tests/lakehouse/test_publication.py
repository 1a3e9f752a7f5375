import json
import threading
from contextlib import contextmanager

import psycopg
import pytest

from lakehouse.errors import NotPossible, PermanentError
from lakehouse.publishing import marts_build, publication
from lakehouse.publishing.up_to_date import is_up_to_date
from lakehouse.warehouse import connect
from tests.lakehouse.marts import build, publish, swap
from tests.publications import passed


@contextmanager
def analyst(settings):
    with connect(settings.require("dsn_analyst"), autocommit=True) as connection:
        yield connection


def seen(settings):
    with analyst(settings) as connection:
        return connection.execute("SELECT one.value, two.value FROM marts.one, marts.two").fetchone()


def test_a_publication_records_its_offsets_and_gate(warehouse):
    published = publish(warehouse, 1)
    assert published.is_current
    assert published.offsets == {"okr_user_events": {"0": 42}}
    assert published.data_as_of.isoformat() == "2026-01-02T03:04:05+00:00"
    with analyst(warehouse) as connection:
        assert (
            connection.execute("SELECT publication_id FROM marts.publication").fetchone()[0] == published.publication_id
        )


def test_rows_that_the_gate_counted_are_not_counted_again(warehouse):
    build(warehouse, 1)
    swap(warehouse, passed("run-1", suites=[{"table": "one", "rows": 7}, {"table": "features", "rows": 1}]))
    with connect(warehouse.require("dsn_serving")) as connection:
        assert connection.execute("SELECT rows FROM ops.publication").fetchone()[0] == {"one": 7, "two": 1}


def test_the_model_of_the_current_publication_is_recorded_once(warehouse):
    dsn = warehouse.require("dsn_transform")
    first = publish(warehouse, 1)
    publication.record_model_version(dsn, first.publication_id, None)
    assert publication.current(dsn).model_version is None
    publication.record_model_version(dsn, first.publication_id, "3")
    publication.record_model_version(dsn, first.publication_id, "4")  # a step that runs again after a promotion
    second = publish(warehouse, 2)
    publication.record_model_version(dsn, second.publication_id, "4")
    publication.record_model_version(dsn, first.publication_id, "4")
    assert [found.model_version for found in publication.history(dsn)] == ["4", "3"]


def test_a_publication_includes_the_decisions_made_before_its_build_started(warehouse):
    dsn = warehouse.require("dsn_transform")
    assert is_up_to_date(dsn, "project"), "nothing is published yet"
    publish(warehouse, 1)
    assert not is_up_to_date(dsn, "project"), "the project was not recorded"
    build(warehouse, 2, project="project")
    with connect(dsn) as connection:
        connection.execute(
            "INSERT INTO ops.event_review (event_id, rule, decision, decided_by) "
            "VALUES (gen_random_uuid(), 'manual', 'withhold', 'ada')"
        )
    swap(warehouse, passed("run-2"))
    assert not is_up_to_date(dsn, "project"), "the decision came after the start of the build"
    build(warehouse, 3, project="project")
    swap(warehouse, passed("run-3"))
    assert is_up_to_date(dsn, "project")
    assert not is_up_to_date(dsn, "another project")


def test_all_marts_change_together_while_analysts_query(warehouse):
    publish(warehouse, 0)
    pairs, stop = set(), threading.Event()

    def query():
        with analyst(warehouse) as connection:
            while not stop.is_set():
                pairs.add(connection.execute("SELECT one.value, two.value FROM marts.one, marts.two").fetchone())

    readers = [threading.Thread(target=query) for _ in range(2)]
    for reader in readers:
        reader.start()
    for value in range(1, 6):
        publish(warehouse, value)
    stop.set()
    for reader in readers:
        reader.join(timeout=20)
    assert {(value, value) for value in range(1, 5)} & pairs
    assert all(one == two for one, two in pairs)


def test_a_long_query_neither_waits_for_nor_blocks_a_publication(warehouse):
    publish(warehouse, 1)
    with connect(warehouse.require("dsn_analyst")) as connection:
        assert connection.execute("SELECT value FROM marts.one").fetchone() == (1,)
        for value in (2, 3, 4, 5):
            publish(warehouse, value)  # would time out if it waited for the open transaction
        assert connection.execute("SELECT value FROM marts.one").fetchone() == (5,)


def test_a_build_cannot_be_read_before_it_is_published(warehouse):
    publish(warehouse, 1)
    build(warehouse, 2)
    assert seen(warehouse) == (1, 1)
    with analyst(warehouse) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT * FROM marts_build.one")


def test_an_analyst_reads_marts_and_nothing_else(warehouse):
    publish(warehouse, 1)
    publish(warehouse, 2)
    with analyst(warehouse) as connection:
        readable = connection.execute(
            "SELECT DISTINCT table_schema FROM information_schema.tables "
            "WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        assert readable == [("marts",)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM marts_v1.one")
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)):
            connection.execute("CREATE TABLE marts.mine (a int)")


def test_a_rollback_is_one_call_and_holds_publications_until_resume(warehouse):
    first, second = publish(warehouse, 1), publish(warehouse, 2)
    back = publication.rollback(warehouse.require("dsn_transform"))
    assert (back.restored.publication_id, back.is_changed) == (first.publication_id, True)
    assert seen(warehouse) == (1, 1)
    with pytest.raises(PermanentError, match="rolled back"):
        publish(warehouse, 3)
    assert seen(warehouse) == (1, 1)
    assert publication.resume(warehouse.require("dsn_transform")) == [second.publication_id]
    assert publish(warehouse, 3).publication_id > second.publication_id
    assert seen(warehouse) == (3, 3)
    assert sum(row.is_current for row in publication.history(warehouse.require("dsn_serving"))) == 1


def test_a_repeated_rollback_of_one_publication_changes_nothing(warehouse):
    dsn = warehouse.require("dsn_transform")
    publish(warehouse, 1), publish(warehouse, 2), publish(warehouse, 3)
    first, again = (publication.rollback(dsn, current_publication_id=3) for _ in range(2))
    assert [(each.restored.publication_id, each.is_changed) for each in (first, again)] == [(2, True), (2, False)]
    with pytest.raises(NotPossible, match="Publication 2 is current, not 1"):
        publication.rollback(dsn, current_publication_id=1)
    assert seen(warehouse) == (2, 2)


def test_a_rolled_back_publication_never_returns(warehouse):
    publish(warehouse, 1), publish(warehouse, 2)
    publication.rollback(warehouse.require("dsn_transform"))
    publication.resume(warehouse.require("dsn_transform"))
    publish(warehouse, 3)
    publication.rollback(warehouse.require("dsn_transform"))
    assert seen(warehouse) == (1, 1)


def test_a_rollback_without_an_older_publication_fails_with_a_message(warehouse):
    publish(warehouse, 1)
    with pytest.raises(PermanentError, match="no older publication to roll back to"):
        publication.rollback(warehouse.require("dsn_transform"))


@pytest.mark.parametrize(
    "gate",
    [
        {},
        passed("run-2", passed=False),
        passed("run-2", checked_rows=0),
        passed("run-2", gate="raw"),
    ],
    ids=["no report", "failed", "checked nothing", "another gate"],
)
def test_only_a_passed_marts_gate_publishes(warehouse, gate):
    publish(warehouse, 1)
    build(warehouse, 2)
    with pytest.raises(PermanentError, match="cannot be published"):
        swap(warehouse, gate)
    assert seen(warehouse) == (1, 1)


def test_a_cleared_task_cannot_publish_what_another_run_has_built_since(warehouse):
    publish(warehouse, 1)
    build(warehouse, 2)
    build(warehouse, 3)
    with pytest.raises(PermanentError, match="build of run run-3, not that of run-2"):
        swap(warehouse, passed("run-2"))
    assert seen(warehouse) == (1, 1)


def test_events_loaded_after_the_build_started_are_not_claimed(warehouse):
    build(warehouse, 1)
    with connect(warehouse.require("dsn_loader")) as connection:
        connection.execute("UPDATE raw.load_watermark SET next_offset = 1000")
        connection.execute("UPDATE raw.okr_user_events SET recorded_at = now()")
    published = swap(warehouse, passed("run-1"))
    assert published.offsets == {"okr_user_events": {"0": 42}}
    assert published.data_as_of.isoformat() == "2026-01-02T03:04:05+00:00"


def test_an_empty_build_is_never_published(warehouse):
    publish(warehouse, 1)
    marts_build.prepare_build(warehouse.require("dsn_transform"), "run-2")
    with pytest.raises(PermanentError, match="marts_build has no table"):
        swap(warehouse, passed("run-2"))
    assert seen(warehouse) == (1, 1)


def test_old_publications_do_not_accumulate(warehouse):
    for value in range(6):
        publish(warehouse, value)
    with connect(warehouse.require("dsn_transform")) as connection:
        kept = connection.execute("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'marts_v%'").fetchone()
    assert kept == (1 + publication.KEPT_VERSIONS,)


def test_the_gate_report_is_stored_with_the_publication(warehouse):
    publish(warehouse, 1)
    with connect(warehouse.require("dsn_serving")) as connection:
        gate, rows = connection.execute("SELECT gate, rows FROM ops.publication WHERE is_current").fetchone()
    assert gate == json.loads(json.dumps(passed("run-1")))
    assert rows == {"one": 1, "two": 1}
