"""Answers are whole: of one publication, while publications come in."""

import threading
import time

import pytest

from lakehouse import marts_build, publication
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from serving.errors import NotPublished
from serving.published import PublishedReader, Warehouse
from tests.serving.marts import DATA_AS_OF, RUN, republish


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
