"""The migration from renamed schemas to views preserves what readers see."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.stack import Stack
from infra.migrations.migrate import migrate
from lakehouse.publishing import publication
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.databases import database_from
from tests.lakehouse.marts import load_one_event, publish


@pytest.fixture
def old_layout(test_stack: Stack, postgres: Settings) -> Iterator[Settings]:
    """A database at the revision before the migration, with three publications."""
    with database_from("template0", test_stack, postgres) as settings:
        migrate(settings.require("dsn_owner"), to="0018")
        with connect(settings.require("dsn_owner")) as connection:
            connection.execute(Path(__file__).with_name("old_layout.sql").read_bytes())
        yield settings


def seen(settings: Settings) -> tuple[object, ...] | None:
    with connect(settings.require("dsn_analyst")) as connection:
        return connection.execute("SELECT one.value, publication_id FROM marts.one, marts.publication").fetchone()


def test_readers_see_the_same_marts_after_the_migration_and_publishing_continues(old_layout: Settings) -> None:
    dsn = old_layout.require("dsn_transform")
    migrate(old_layout.require("dsn_owner"))
    assert seen(old_layout) == (2, 2)
    with connect(old_layout.require("dsn_serving")) as connection:
        assert connection.execute("SELECT value FROM ml.features").fetchone() == (2,)
        assert connection.execute("SELECT obj_description('marts.one'::regclass)").fetchone() == ("Grain: one.",)
    with connect(old_layout.require("dsn_analyst")) as connection:
        schemas = connection.execute(
            "SELECT DISTINCT table_schema FROM information_schema.tables "
            "WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
    assert schemas == [("marts",)]
    assert publication.resume(dsn) == [3]
    load_one_event(old_layout)
    assert publish(old_layout, 4).publication_id == 4
    assert seen(old_layout) == (4, 4)
    assert publication.rollback(dsn).restored.publication_id == 2
    assert seen(old_layout) == (2, 2)
    publication.rollback(dsn)
    assert seen(old_layout) == (1, 1)
