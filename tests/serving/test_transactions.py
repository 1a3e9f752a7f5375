"""Transactions of the API's connections: what each of them starts with, and that it leaves nothing to the next."""

from collections.abc import Iterator

import pytest
from psycopg.pq import TransactionStatus

from lakehouse.settings import Settings
from serving.errors import NotPublished
from serving.publication_reader import Connection, Warehouse
from tests.databases import NewDatabase

CHARACTERISTICS = "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')"
ORGANISATION = "SELECT coalesce(current_setting('okr.organisation_id', true), '')"


@pytest.fixture
def warehouse(published: Settings) -> Iterator[Warehouse]:
    """The warehouse as seen by accounts of the installation."""
    opened = Warehouse(published.require("dsn_serving"))
    opened.open()
    yield opened
    opened.close()


def test_a_snapshot_is_repeatable_and_read_only(warehouse: Warehouse) -> None:
    with warehouse.snapshot() as reader:
        assert reader.connection.execute(CHARACTERISTICS).fetchone() == ("repeatable read", "on")
        assert reader.publication == warehouse.publication()


def test_a_connection_is_in_one_transaction_until_the_end_of_the_block(warehouse: Warehouse) -> None:
    with warehouse.connection() as connection:
        assert connection.info.transaction_status == TransactionStatus.INTRANS
        assert connection.execute(CHARACTERISTICS).fetchone() == ("read committed", "off")
        first = _transaction_time(connection)
        assert _transaction_time(connection) == first
    assert connection.info.transaction_status == TransactionStatus.IDLE


def test_an_error_rolls_the_transaction_back(warehouse: Warehouse) -> None:
    with pytest.raises(ZeroDivisionError):
        _fail_after_a_change(warehouse)
    for _ in range(3):
        with warehouse.connection() as connection:
            assert connection.execute("SHOW application_name").fetchone() == ("okr-serving",)


@pytest.mark.parametrize("organisation_id", ["acme", "o'brien \\ ; SELECT 1"])
def test_the_organisation_of_a_transaction_ends_with_it(warehouse: Warehouse, organisation_id: str) -> None:
    restricted = warehouse.restricted_to(organisation_id)
    with restricted.snapshot() as reader:
        assert reader.connection.execute(ORGANISATION).fetchone() == (organisation_id,)
        assert reader.connection.execute(CHARACTERISTICS).fetchone() == ("repeatable read", "on")
    with restricted.connection() as connection:
        assert connection.execute(ORGANISATION).fetchone() == (organisation_id,)
    for _ in range(3):
        with warehouse.snapshot() as reader:
            assert reader.connection.execute(ORGANISATION).fetchone() == ("",)


def test_without_a_publication_a_read_says_so_and_the_connection_stays_usable(new_database: NewDatabase) -> None:
    with new_database() as settings:
        warehouse = Warehouse(settings.require("dsn_serving"))
        warehouse.open()
        try:
            for _ in range(2):
                with pytest.raises(NotPublished):
                    warehouse.publication()
            with warehouse.connection() as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
        finally:
            warehouse.close()


def _fail_after_a_change(warehouse: Warehouse) -> None:
    with warehouse.connection() as connection:
        connection.execute("SET application_name = 'changed'")
        _ = 1 / 0


def _transaction_time(connection: Connection) -> object:
    return connection.execute("SELECT now()").fetchone()
