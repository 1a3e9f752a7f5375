"""Migrate the warehouse's schema while services use it: one revision at a time, each with short locks.

A lock that a revision waits for already blocks the readers behind it in the queue. A revision therefore gives up after
LOCK_S seconds of waiting, and after BLOCKED_S seconds in total, is rolled back, and is tried again after a pause in
which the readers continue. A migration thus blocks readers for at most BLOCKED_S seconds at a time.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from infra.migrations.revisions import current_revision, expanding, is_contract, outstanding
from infra.migrations.transactions import transaction
from lakehouse.connection_limits import Limits
from lakehouse.errors import RetryableError
from lakehouse.retry import Backoff

if TYPE_CHECKING:
    from sqlalchemy import Connection

LOCK_S = 2
BLOCKED_S = 5
LIMITS = Limits(statement_s=BLOCKED_S, lock_s=LOCK_S, idle_s=BLOCKED_S)
TRY_FOR_S = 180.0
BLOCKERS = """
SELECT DISTINCT coalesce(nullif(application_name, ''), usename::text, '?') || ' (pid ' || pid || ')'
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start < now() - make_interval(secs => %s)
ORDER BY 1 LIMIT 5
"""


def migrate_online(
    dsn_owner: str, *, contracts: bool = False, try_for_s: float = TRY_FOR_S, say: Callable[[str], None] = print
) -> str:
    """Run outstanding revisions, each in its own transaction, and return the database's revision.

    Revisions that contract the schema, and those after them, are run only if `contracts` is true. If this is
    interrupted, the database has the revisions that were completed, and the next call continues.

    Raises:
        RetryableError: the database cannot be reached, or a revision exceeded its limits for `try_for_s` seconds.
        PermanentError: a revision failed and was rolled back, or this code does not know the database's revision.
    """
    backoff, deadline = Backoff(0.5, 10.0), time.monotonic() + try_for_s
    while True:
        try:
            done, revision = _next_revision(dsn_owner, contracts=contracts)
        except RetryableError as error:
            if time.monotonic() > deadline:
                raise RetryableError(f"{error} Tried for {try_for_s:.0f} s. {_blockers(dsn_owner)}") from error
            pause_s = backoff.pause()
            say(f"{error} Trying again in {pause_s:.1f} s.")
            time.sleep(pause_s)
            continue
        if done is None:
            return revision
        say(f"Revision {done} is done.")
        backoff.reset()
        deadline = time.monotonic() + try_for_s


def list_outstanding(dsn_owner: str) -> list[str]:
    """Return a line for each revision that the database does not have, oldest first.

    Raises:
        RetryableError: the database cannot be reached, or another migration is running.
        PermanentError: this code does not know the database's revision.
    """
    with transaction(dsn_owner, LIMITS) as (connection, _):
        revisions = outstanding(current_revision(connection))
    return [f"{each.revision} {'contract' if is_contract(each) else 'expand'}: {each.doc}" for each in revisions]


def _next_revision(dsn_owner: str, *, contracts: bool) -> tuple[str | None, str]:
    """Run the next revision and return it, or None if there is none, and the database's revision."""
    from alembic import command

    with transaction(dsn_owner, LIMITS) as (connection, config), _cancelled_after(connection, BLOCKED_S):
        current = current_revision(connection)
        revisions = outstanding(current)
        revisions = revisions if contracts else expanding(revisions)
        if not revisions:
            return None, current or "none"
        command.upgrade(config, revisions[0].revision)
    return revisions[0].revision, revisions[0].revision


@contextmanager
def _cancelled_after(connection: "Connection", seconds: float) -> Iterator[None]:
    """Cancel the statement that runs after a time. PostgreSQL has `transaction_timeout` only since version 17."""
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101 -- migrations always run with a connection
    timer = threading.Timer(seconds, driver.cancel_safe)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _blockers(dsn_owner: str) -> str:
    """Return a sentence that names the sessions with long transactions, which probably hold the locks."""
    from lakehouse.warehouse import connect

    try:
        with connect(dsn_owner, application="okr-migrate", limits=LIMITS) as connection:
            found = [str(name) for (name,) in connection.execute(BLOCKERS, (LOCK_S,)).fetchall()]
    except RetryableError:
        return "Is the database server running?"
    return f"Sessions with long transactions: {', '.join(found) or 'none'}. `okr deploy` continues at this revision."
