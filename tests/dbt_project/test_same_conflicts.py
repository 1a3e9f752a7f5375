"""A property: of any log, state tables and marts withhold the same events, for the same reasons."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings

from lakehouse.warehouse import connect
from tests.ingestion.state.events import Row, apply
from tests.ingestion.state.logs import logs

LOADED = """
INSERT INTO raw.okr_user_events (
    kafka_partition, kafka_offset, logged_at, event_id, event_type, source, subject, occurred_at, recorded_at,
    recorded_at_assumed, data
)
VALUES (
    %(kafka_partition)s, %(kafka_offset)s, %(logged_at)s, %(event_id)s, %(event_type)s, 'test', %(subject)s,
    %(occurred_at)s, %(logged_at)s, false, %(data)s
)
"""


@pytest.fixture(scope="module")
def model(dbt: Any) -> bytes:
    """What dbt asks of raw for intermediate.int_identity_conflict."""
    dbt.run("compile", "--select=int_identity_conflict")
    (compiled,) = Path(dbt.target).rglob("compiled/**/int_identity_conflict.sql")
    return compiled.read_bytes()


@pytest.fixture(scope="module")
def loader(dbt: Any) -> Iterator[psycopg.Connection[Any]]:
    with connect(dbt.settings.require("dsn_loader"), autocommit=True) as connection:
        yield connection


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(log=logs())
def test_of_any_log_state_and_marts_withhold_the_same_events(
    dbt: Any, model: bytes, loader: psycopg.Connection[Any], log: list[Row]
) -> None:
    loader.execute("DELETE FROM raw.okr_user_events")
    loader.execute("DELETE FROM app.consumer_offset")
    loader.execute("DELETE FROM app.event")
    loader.cursor().executemany(LOADED, log)
    apply(loader, log)
    withheld = "SELECT event_id, withheld_because FROM app.event WHERE withheld_because IS NOT NULL"
    with connect(dbt.settings.require("dsn_transform")) as transform:
        marts_say = dict(transform.execute(model).fetchall())
    assert dict(loader.execute(withheld).fetchall()) == marts_say
