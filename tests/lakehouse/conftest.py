from collections.abc import Iterator

import pytest

from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.lakehouse.marts import Connection, load_one_event


@pytest.fixture
def warehouse(fresh_database: Settings) -> Settings:
    """A database with one event in raw, which determines `data_as_of`."""
    load_one_event(fresh_database)
    return fresh_database


@pytest.fixture
def analyst(warehouse: Settings) -> Iterator[Connection]:
    with connect(warehouse.require("dsn_analyst")) as connection:
        yield connection


@pytest.fixture
def owner(warehouse: Settings) -> Iterator[Connection]:
    with connect(warehouse.require("dsn_transform"), autocommit=True) as connection:
        yield connection
