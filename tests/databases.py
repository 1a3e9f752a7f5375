"""Databases for tests: created from a template in about 0.1 s, with the usual privileges, and dropped afterwards."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg
from pydantic import SecretStr

from infra.local.stack import Stack
from lakehouse.settings import Settings

DSNS = (
    "dsn_owner",
    "dsn_loader",
    "dsn_landing",
    "dsn_metrics",
    "dsn_transform",
    "dsn_serving",
    "dsn_organisation",
    "dsn_analyst",
)

NewDatabase = Callable[[], AbstractContextManager[Settings]]


def execute_as_superuser(stack: Stack, statement: str) -> None:
    """Run one statement outside of a transaction."""
    with psycopg.connect(stack.env["OKR_PG_SUPERUSER_DSN"], autocommit=True) as connection:
        connection.execute(statement.encode())


@contextmanager
def database_from(template: str, stack: Stack, settings: Settings) -> Iterator[Settings]:
    """Create a database from a template, yield `settings` with its DSNs, and drop it."""
    name = f"okr_{uuid.uuid4().hex[:12]}"
    execute_as_superuser(stack, f"CREATE DATABASE {name} TEMPLATE {template} OWNER okr_owner")
    try:
        execute_as_superuser(stack, f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
        execute_as_superuser(stack, f"GRANT CONNECT, TEMPORARY, CREATE ON DATABASE {name} TO okr_transform")
        logins = "okr_loader, okr_landing, okr_metrics, okr_serving, okr_organisation, okr_analyst"
        execute_as_superuser(stack, f"GRANT CONNECT ON DATABASE {name} TO {logins}")
        dsns = {dsn: SecretStr(settings.require(dsn).rpartition("/")[0] + f"/{name}") for dsn in DSNS}
        yield settings.model_copy(update=dsns)
    finally:
        execute_as_superuser(stack, f"DROP DATABASE {name} WITH (FORCE)")


def copy_of(settings: Settings, stack: Stack) -> AbstractContextManager[Settings]:
    """Return a context that copies a database to which nothing is connected, as settings of the copy."""
    return database_from(settings.require("dsn_owner").rpartition("/")[2], stack, settings)
