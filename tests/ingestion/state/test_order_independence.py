"""Property test: the same events in any order, batching and number of copies yield the same rows."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.ingestion.state.events import Connection, Row, apply
from tests.ingestion.state.random_logs import logs

TABLES = ("users", "okrs", "key_result_cycles", "check_ins", "event", "newest_event", "user_activity", "refused_event")
SHOWN = (*TABLES, "objectives", "key_results", "teams", "cycles", "organisations")


@pytest.fixture(scope="module")
def loader(new_database: Callable[[], AbstractContextManager[Settings]]) -> Iterator[Connection]:
    with new_database() as database, connect(database.require("dsn_loader"), autocommit=True) as connection:
        yield connection


def tables_after(loader: Connection, events: list[Row], batch: int) -> dict[str, list[tuple[object, ...]]]:
    """Apply events to empty tables and return their rows."""
    for table in ("okrs", *TABLES, "consumer_offset"):
        loader.execute(f"DELETE FROM app.{table}".encode())
    position = 0
    for start in range(0, len(events), batch):
        position = apply(loader, events[start : start + batch], position)
    return {table: sorted(loader.execute(f"SELECT * FROM app.{table}".encode()), key=repr) for table in SHOWN}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=logs(), chance=st.randoms(use_true_random=False), batch=st.integers(1, 6))
def test_any_order_of_the_same_events_gives_the_same_tables(
    loader: Connection, log: list[Row], chance: "st.random.Random", batch: int
) -> None:
    in_order = tables_after(loader, log, len(log))
    shuffled = [*log, *chance.sample(log, len(log) // 2)]
    chance.shuffle(shuffled)
    assert tables_after(loader, shuffled, batch) == in_order
