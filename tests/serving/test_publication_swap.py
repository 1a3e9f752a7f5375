"""Each answer is from a single publication, even while new ones are published."""

import threading
import time

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from lakehouse.publishing import marts_build, publication
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from serving.errors import NotPublished, PublishedByOlderRelease
from serving.http import error_responses
from serving.publication_reader import PublishedReader, Warehouse
from tests.serving.published_organisation import DATA_AS_OF, RUN, republish


def build(settings: Settings, number: int) -> None:
    """Build two marts that hold the same number, as a publication's tables belong together."""
    marts_build.prepare_build(settings.require("dsn_transform"), RUN)
    with connect(settings.require("dsn_transform")) as connection:
        connection.execute(DATA_AS_OF.encode())
        for table in ("one", "other"):
            connection.execute(f"CREATE TABLE marts_build.{table} AS SELECT {number}::int AS number".encode())


@pytest.fixture
def published_twice(fresh_database: Settings) -> Settings:
    with connect(fresh_database.require("dsn_loader")) as connection:
        connection.execute(
            "INSERT INTO raw.okr_user_events "
            "VALUES (0, 0, now(), gen_random_uuid(), 't', 's', 'k', now(), now(), false, '{}')"
        )
    build(fresh_database, 1)
    republish(fresh_database)
    return fresh_database


def test_an_answer_of_two_statements_is_of_one_publication_though_others_come_in(published_twice: Settings) -> None:
    warehouse = Warehouse(published_twice.require("dsn_serving"))
    warehouse.open()
    torn: list[tuple[int, int, int]] = []
    seen, stop = set[int](), threading.Event()

    def publish_on() -> None:
        # Until answers have come from several publications, however slow the machine; pytest's limit ends a hang.
        number = 2
        while len(seen) < 4 and not stop.is_set():
            build(published_twice, number)
            republish(published_twice)
            number += 1
        stop.set()

    def both(reader: PublishedReader) -> tuple[int, int]:
        first = reader.connection.execute("SELECT number FROM marts.one").fetchone()
        time.sleep(0.02)  # long enough for a publication to come between
        second = reader.connection.execute("SELECT number FROM marts.other").fetchone()
        return first[0], second[0]

    publisher = threading.Thread(target=publish_on)
    publisher.start()
    try:
        while not stop.is_set():
            found = warehouse.read(both)
            seen.add(found.publication.publication_id)
            if not found.value[0] == found.value[1] == found.publication.publication_id:
                torn.append((*found.value, found.publication.publication_id))
    finally:
        stop.set()
        publisher.join(60)
        warehouse.close()
    assert not torn
    assert len(seen) >= 4


def test_after_a_rollback_the_older_publication_answers(published_twice: Settings) -> None:
    build(published_twice, 2)
    republish(published_twice)
    warehouse = Warehouse(published_twice.require("dsn_serving"))
    warehouse.open()
    try:
        assert warehouse.publication().publication_id == 2
        publication.rollback(published_twice.require("dsn_transform"))
        assert warehouse.publication().publication_id == 1
    finally:
        warehouse.close()


def test_before_the_first_publication_nothing_is_read(fresh_database: Settings) -> None:
    warehouse = Warehouse(fresh_database.require("dsn_serving"))
    warehouse.open()
    try:
        with pytest.raises(NotPublished, match="okr_etl_dag"):
            warehouse.read(lambda reader: reader.connection.execute("SELECT 1"))
    finally:
        warehouse.close()


CHECK_INS = """
CREATE TABLE marts_build.fct_check_in AS
SELECT
    'c'::text AS check_in_id, 'k'::text AS key_result_id, 'q1'::text AS cycle_id, now() AS checked_in_at,
    0.5::float8 AS elapsed_ratio, 0.4::float8 AS progress_ratio, true AS is_in_cycle
"""
HISTORIES = ("serving.web", "progress_histories", {"key_result_ids": ["k"]})


def test_marts_of_an_older_release_are_an_answer_that_says_so(published_twice: Settings) -> None:
    """A new release reads a column that the last publication lacks: it was an unexpected error without a reason."""
    warehouse = Warehouse(published_twice.require("dsn_serving"))
    app = FastAPI()
    error_responses.install(app, lambda request, problem: None)
    app.get("/histories")(lambda: warehouse.read(lambda reader: reader.rows(*HISTORIES)).value)
    warehouse.open()
    try:
        publish_check_ins(published_twice, 2, CHECK_INS)
        answer = TestClient(app).get("/histories")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert answer.json()["type"] == "urn:okr:problem:published-by-older-release"
        assert "Publication 2 was published by an older release" in answer.json()["detail"]
        assert 'column "counted_cycle_id" does not exist' in answer.json()["detail"]
        with pytest.raises(PublishedByOlderRelease, match="no_such_mart"):
            warehouse.read(lambda reader: reader.connection.execute("SELECT FROM marts.no_such_mart"))
        publish_check_ins(
            published_twice, 3, CHECK_INS.replace("AS cycle_id", "AS cycle_id, 'q2'::text AS counted_cycle_id")
        )
        assert [row["cycle_id"] for row in TestClient(app).get("/histories").json()] == ["q2"]
        # Going back leaves the column, which is empty in what was published before it.
        publication.rollback(published_twice.require("dsn_transform"))
        assert [row["cycle_id"] for row in TestClient(app).get("/histories").json()] == ["q1"]
    finally:
        warehouse.close()


def publish_check_ins(settings: Settings, number: int, table: str) -> None:
    build(settings, number)
    with connect(settings.require("dsn_transform")) as connection:
        connection.execute(table.encode())
    republish(settings)
