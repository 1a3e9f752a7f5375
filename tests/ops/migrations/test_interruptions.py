"""A migration is interrupted in the middle: the database has the old revision, and the repeated command makes the new.

In the middle means: revision 0049 has created a table and changed ops.ledger, and waits for ops.ledger_partition.
"""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from infra.local import stack
from infra.migrations.revert import revert
from infra.migrations.revisions import scripts
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.faults.disks import filled, small_disk
from tests.faults.services import OwnPostgres
from tests.ingestion.crash import OKR, environment_of
from tests.ops.migrations.database_dumps import difference, dump
from tests.polling import until

OLD = "0048"
AT_HEAD = f"The warehouse is at revision {scripts().get_current_head()}."
WAITING = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'okr-migrate' AND wait_event_type = 'Lock'"
DISK_MB = 400


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnPostgres]:
    """PostgreSQL on a small disk of its own."""
    folder = tmp_path_factory.mktemp("server") / "disk"
    with small_disk(folder, DISK_MB), pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack, "MIN_FREE_BYTES", 0)
        with OwnPostgres(folder) as server:
            yield server


@pytest.fixture
def outdated(server: OwnPostgres) -> Settings:
    """Its database at the old revision."""
    settings = server.settings()
    revert(settings.require("dsn_owner"), OLD)
    return settings


@contextmanager
def migration_in_the_middle(settings: Settings, *arguments: str) -> "Iterator[subprocess.Popen[str]]":
    """Run `okr migrate` until it waits in the middle of the revision."""
    dsn = settings.require("dsn_owner")
    command = [*OKR, "migrate", *arguments]
    reader = psycopg.connect(dsn)
    reader.execute("SELECT count(*) FROM ops.ledger_partition")
    with subprocess.Popen(
        command, env=environment_of(settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            until(lambda: waits(dsn), "the migration waits", pause=0.02)
            yield process
        finally:
            reader.close()
            process.kill()


def waits(dsn: str) -> bool:
    """Return whether a migration waits for a lock."""
    with connect(dsn, autocommit=True) as observer:
        return observer.execute(WAITING).fetchone() is not None


def migrated(settings: Settings, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*OKR, "migrate", *arguments], env=environment_of(settings), capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("arguments", [(), ("--online",)])
def test_the_command_is_killed(outdated: Settings, arguments: tuple[str, ...]) -> None:
    dsn = outdated.require("dsn_owner")
    before = dump(dsn, with_rows=False)
    with migration_in_the_middle(outdated, *arguments) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    until(lambda: not waits(dsn), "the server has noticed", pause=0.02)
    assert difference(before, dump(dsn, with_rows=False)) == []
    assert migrated(outdated, *arguments).stdout.splitlines()[-1] == AT_HEAD


def test_postgresql_is_killed_and_restarted(outdated: Settings, server: OwnPostgres) -> None:
    dsn = outdated.require("dsn_owner")
    before = dump(dsn, with_rows=False)
    with migration_in_the_middle(outdated) as process:
        server.kill()
        _, said = process.communicate(timeout=30)
        assert process.returncode == 1
        assert len(said.strip().splitlines()) == 1, said
        assert said.startswith("okr: The warehouse could not be migrated: "), said
    server.start()
    assert difference(before, dump(dsn, with_rows=False)) == []
    assert migrated(outdated).stdout == f"{AT_HEAD}\n"


def test_an_online_migration_continues_by_itself_after_postgresql_was_restarted(
    outdated: Settings, server: OwnPostgres
) -> None:
    with migration_in_the_middle(outdated, "--online") as process:
        server.kill()
        server.start()
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert said.splitlines()[-1] == AT_HEAD


def test_the_disk_of_the_server_is_full(outdated: Settings, server: OwnPostgres) -> None:
    dsn = outdated.require("dsn_owner")
    before = dump(dsn, with_rows=False)
    with filled(outdated.state):
        failed = migrated(outdated)
    assert failed.returncode == 1
    assert len(failed.stderr.strip().splitlines()) == 1, failed.stderr
    if not _answers(dsn):  # it stops if there is no space for its log
        server.start()
    assert difference(before, dump(dsn, with_rows=False)) == []
    assert migrated(outdated).stdout == f"{AT_HEAD}\n"


def _answers(dsn: str) -> bool:
    try:
        with psycopg.connect(dsn):
            return True
    except psycopg.OperationalError:
        return False
