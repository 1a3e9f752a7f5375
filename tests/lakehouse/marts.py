"""Two marts and a feature mart with one number each, built and published as the pipeline does it."""

from collections.abc import Mapping
from typing import Any

import psycopg

from lakehouse.publishing import marts_build, publication
from lakehouse.publishing.publication import Publication
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.publications import passed

Connection = psycopg.Connection[Any]
BOTH = "SELECT one.value, two.value FROM marts.one, marts.two"
DATA_AS_OF = (
    "CREATE TABLE IF NOT EXISTS intermediate.int_data_as_of AS "
    "SELECT max(recorded_at) AS data_as_of FROM raw.okr_user_events"
)


def load_one_event(settings: Settings) -> None:
    """Insert one event into raw, which determines `data_as_of`."""
    with connect(settings.require("dsn_loader")) as connection:
        connection.execute(
            "INSERT INTO raw.okr_user_events VALUES (0, 41, now(), gen_random_uuid(), 'okr.page.viewed.v1', 's', 'u', "
            "now(), '2026-01-02T03:04:05Z', false, '{}')"
        )
        connection.execute("INSERT INTO raw.load_watermark VALUES ('okr_user_events', 0, 42)")


def build(settings: Settings, value: int, *, project: str | None = None) -> None:
    """Create tables in marts_build and ml_build, as dbt does."""
    marts_build.prepare_build(settings.require("dsn_transform"), f"run-{value}", project=project)
    with connect(settings.require("dsn_transform")) as connection:
        connection.execute(DATA_AS_OF.encode())
        for table in ("marts_build.one", "marts_build.two", "ml_build.features"):
            connection.execute(f"CREATE TABLE {table} AS SELECT {value}::int AS value".encode())


def publish(settings: Settings, value: int) -> Publication:
    """Build and publish, as run `run-<value>`."""
    build(settings, value)
    return swap(settings, passed(f"run-{value}"))


def swap(settings: Settings, gate: Mapping[str, Any]) -> Publication:
    """Publish the build."""
    return publication.publish(settings.require("dsn_transform"), gate=gate, model_version=None)


def publish_with(settings: Settings, value: int, *statements: str) -> Publication:
    """Build, run statements on the build, and publish it."""
    build(settings, value)
    with connect(settings.require("dsn_transform")) as connection:
        for statement in statements:
            connection.execute(statement.encode())
    return swap(settings, passed(f"run-{value}"))


def versions(connection: Connection) -> list[str]:
    rows = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname ~ '^marts_v' ORDER BY oid").fetchall()
    return [name for (name,) in rows]
