"""Every revision is applied to tables that contain rows; if it can be reverted, also down and up again."""

from collections.abc import Iterator

import psycopg
import pytest
from pydantic import SecretStr

from infra.local.stack import Stack
from infra.migrations.migrate import migrate
from infra.migrations.revert import revert
from infra.migrations.revisions import can_be_reverted, scripts
from lakehouse.errors import PermanentError
from lakehouse.settings import Settings
from tests.databases import database_from
from tests.figures import report
from tests.ops.migrations.database_dumps import difference, dump
from tests.ops.migrations.example_rows import fill_empty_tables

# Tables that a downgrade keeps on purpose if they contain rows.
KEPT = {"0050": ["app.data_key"]}


@pytest.fixture
def empty_database(test_stack: Stack, postgres: Settings) -> Iterator[Settings]:
    """A database without our schemas, and the superuser's login to it."""
    with database_from("template0", test_stack, postgres) as settings:
        name = settings.require("dsn_owner").rpartition("/")[2]
        superuser = test_stack.env["OKR_PG_SUPERUSER_DSN"].rpartition("/")[0] + f"/{name}"
        yield settings.model_copy(update={"pg_superuser_dsn": SecretStr(superuser)})


def test_every_revision_goes_up_down_and_up_again_on_rows(empty_database: Settings) -> None:
    dsn, superuser = empty_database.require("dsn_owner"), empty_database.require("pg_superuser_dsn")
    reverted, previous = 0, None
    revisions = list(scripts().walk_revisions())[::-1]
    with psycopg.connect(superuser, autocommit=True) as connection:
        for script in revisions:
            fill_empty_tables(connection)
            before = dump(superuser, with_rows=True)
            migrate(dsn, to=script.revision)
            if previous is not None:
                if can_be_reverted(script):
                    _goes_down_and_up_again(connection, empty_database, script.revision, previous, before)
                    reverted += 1
                else:
                    with pytest.raises(PermanentError, match=f"Revision {script.revision} cannot be reverted, so noth"):
                        revert(dsn, previous)
            previous = script.revision
    assert reverted
    report(
        "Revisions of the schema, each applied to tables with rows",
        ("revisions", "up", "up, down and up again", "refused to be reverted, with one line"),
        [(f"to {previous}", str(len(revisions)), str(reverted), str(len(revisions) - reverted - 1))],
    )


def _goes_down_and_up_again(
    connection: psycopg.Connection[tuple[object, ...]],
    settings: Settings,
    revision: str,
    previous: str,
    before: list[str],
) -> None:
    dsn, superuser = settings.require("dsn_owner"), settings.require("pg_superuser_dsn")
    fill_empty_tables(connection)  # new tables have rows when they are dropped
    up = dump(superuser, with_rows=False)
    assert revert(dsn, previous) == previous
    changed = difference(before, dump(superuser, with_rows=True, without=KEPT.get(revision, ())))
    assert not changed, f"{revision} up and down is not the same database: {changed}"
    migrate(dsn, to=revision)
    changed = difference(up, dump(superuser, with_rows=False))
    assert not changed, f"{revision} up, down and up is not the same schema: {changed}"


def test_reverting_to_an_unknown_or_later_revision_changes_nothing(fresh_database: Settings) -> None:
    dsn = fresh_database.require("dsn_owner")
    head = str(scripts().get_current_head())
    with pytest.raises(PermanentError, match=rf"There is no revision 7\. Expected one such as {head}\."):
        revert(dsn, "7")
    assert revert(dsn, head) == head
