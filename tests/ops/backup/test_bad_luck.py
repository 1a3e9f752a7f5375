"""What happens to a backup or a restore when something goes wrong. Each test says it in its name.

Some are faults that users of comparable tools have reported; those name their thread.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.backup.postgres import segments
from infra.backup.repository import Repository
from infra.backup.repository_errors import VanishedError
from infra.local.env_file import read_env_file, write_env_file
from lakehouse.errors import RetryableError
from tests.ops.backup.platform import Platform
from tests.polling import until

pytestmark = pytest.mark.xdist_group("backup")
# This stack has no Kafka.
RUN = ("backup", "run", "--part", "postgres", "--part", "settings")


@pytest.fixture(scope="module")
def saved(warehouse: Platform) -> Platform:
    """The stack with one recovery point."""
    warehouse.okr(*RUN)
    return warehouse


def _points(platform: Platform) -> list[str]:
    return platform.okr("backup", "list", check=False).stdout.splitlines()


def _repository(platform: Platform) -> Repository:
    password = platform.password_file.read_text(encoding="utf-8").strip()
    return Repository(str(platform.repository), password, platform.state)


@contextmanager
def _settings(platform: Platform, **values: str) -> Iterator[None]:
    """Change stack.env for a while."""
    path = platform.state / "stack.env"
    before = read_env_file(path)
    write_env_file(path, {**before, **values})
    try:
        yield
    finally:
        write_env_file(path, before)


def test_a_full_disk_in_a_backup_keeps_earlier_points_and_says_what_to_do(saved: Platform, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(small)], check=True)
    try:
        location = str(small / "repository")
        with _settings(saved, OKR_BACKUP_REPOSITORY=location):
            saved.okr("backup", "init", "--repository", location)
            failed = saved.okr(*RUN, check=False)
            assert failed.returncode == 1
            assert f"The disk of the repository {location} is full. Nothing was stored" in failed.stderr
            assert _points(saved) == ["There is no recovery point yet. `okr backup run` makes one."]
    finally:
        subprocess.run(["umount", str(small)], check=True)
    metrics = (saved.state / "metrics" / "backup.prom").read_text(encoding="utf-8")
    assert 'okr_backup_last_result{part="postgres"} 0' in metrics
    saved.okr(*RUN)  # the other repository, and the slot of PostgreSQL, are as before


def _fill(ballast: Path) -> None:
    """Write a file until its disk is full."""
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_full_repository_is_pruned_all_the_same(saved: Platform, tmp_path: Path) -> None:
    """Prune needs a lock and an index, for which a full disk has no space: restic/restic #1153."""
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", str(small)], check=True)
    try:
        location = small / "repository"
        with _settings(saved, OKR_BACKUP_REPOSITORY=str(location)):
            saved.okr("backup", "init", "--repository", str(location))
            saved.okr(*RUN)
            password = saved.password_file.read_text(encoding="utf-8").strip()
            Repository(str(location), password, saved.state).save_text(
                "of a killed run", "settings.env", "settings", "x"
            )
            _fill(small / "ballast")
            failed = saved.okr(*RUN, check=False)
            assert "is full. Nothing was stored" in failed.stderr
            assert "Removed 0 recovery points and 1 snapshots" in saved.okr("backup", "prune").stdout
            assert len(_points(saved)) == 1
            (small / "ballast").unlink()
            saved.okr("backup", "verify", "--data")
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_killed_backup_leaves_no_point_and_is_repeated_and_its_remains_are_pruned(saved: Platform) -> None:
    """A killed run left a lock, with which every later one failed: crmne/kamal-backup #9."""
    before = _points(saved)
    process = saved.start(*RUN)
    until(lambda: list((saved.repository / "locks").iterdir()), "restic has locked the repository")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert list((saved.repository / "locks").iterdir())
    assert _points(saved) == before
    saved.okr(*RUN)
    assert len(_points(saved)) == len(before) + 1
    _repository(saved).save_text("of a run that was killed before its point", "settings.env", "settings", "dead")
    removed = re.search(r"Removed 0 recovery points and (\d+) snapshots", saved.okr("backup", "prune").stdout)
    assert removed is not None
    assert int(removed[1]) >= 1
    assert len(_points(saved)) == len(before) + 1
    saved.okr("backup", "verify", "--data")


def test_two_backups_at_once_the_second_is_refused_and_the_first_completes(saved: Platform) -> None:
    before = len(_points(saved))
    first = saved.start(*RUN)
    until(lambda: list((saved.repository / "locks").iterdir()), "the first one is at work")
    second = saved.okr(*RUN, check=False)
    assert second.returncode == 1
    assert "Another `okr backup` or `okr restore` is running" in second.stderr
    assert first.wait(120) == 0
    assert len(_points(saved)) == before + 1


def test_a_program_that_fails_leaves_no_snapshot_of_half_its_output(saved: Platform) -> None:
    """Restic makes a snapshot of what a failed pg_dump has printed: restic/restic #4251."""
    repository = _repository(saved)
    before = len(repository.snapshots())
    command = ["sh", "-c", "echo half of a backup; echo it broke >&2; exit 3"]
    with pytest.raises(RetryableError, match="sh failed \\(status 3\\): it broke"):
        repository.save_output(command, dict(os.environ), "base.tar", "postgres", "x")
    assert len(repository.snapshots()) == before


def test_a_file_that_vanishes_while_it_is_saved_is_noticed_and_leaves_no_snapshot(
    saved: Platform, tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text("kept", encoding="utf-8")
    repository = _repository(saved)
    before = len(repository.snapshots())
    with pytest.raises(VanishedError, match="1 files of lake were deleted while they were being saved"):
        repository.save_files([tmp_path / "kept", tmp_path / "vanished"], "lake", "x")
    assert len(repository.snapshots()) == before


def test_a_restore_into_a_running_platform_is_refused(saved: Platform) -> None:
    refused = saved.okr("restore", check=False)
    assert refused.returncode == 1
    assert "The platform is running" in refused.stderr
    assert "`okr down` first" in refused.stderr
    saved.okr("backup", "list")


def test_with_another_password_nothing_is_changed(saved: Platform, tmp_path: Path) -> None:
    other = tmp_path / "password"
    other.write_text("another password\n", encoding="utf-8")
    other.chmod(0o600)
    for command in (("backup", "list"), ("restore", "--to", str(tmp_path / "new"))):
        refused = saved.okr(*command, "--repository", str(saved.repository), "--password-file", str(other), check=False)
        assert refused.returncode == 1
        assert f"The repository {saved.repository} has another password" in refused.stderr
    assert not (tmp_path / "new" / "postgres").exists()


def test_a_password_that_others_can_read_is_refused(saved: Platform, tmp_path: Path) -> None:
    open_to_all = tmp_path / "password"
    open_to_all.write_text("secret\n", encoding="utf-8")
    open_to_all.chmod(0o644)
    refused = saved.okr("backup", "list", "--password-file", str(open_to_all), check=False)
    assert f"Other users can read {open_to_all}" in refused.stderr


def test_an_unreachable_repository_is_named_and_never_created_by_a_backup(saved: Platform) -> None:
    """An unmounted disk: a new repository below the mount point would hide that nothing is saved."""
    away = saved.repository.with_name("away")
    saved.repository.rename(away)
    try:
        for command in (RUN, ("backup", "list"), ("backup", "verify"), ("backup", "prune")):
            failed = saved.okr(*command, check=False)
            assert failed.returncode == 1, command
            assert f"There is no repository at {saved.repository}, or it cannot be reached" in failed.stderr
        assert not saved.repository.exists()
    finally:
        away.rename(saved.repository)
    saved.okr("backup", "list")


def test_one_flipped_byte_is_found_and_the_repository_is_called_damaged(saved: Platform, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(saved.repository, copy)
    pack = max((path for path in (copy / "data").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    pack.chmod(0o600)
    damaged = bytearray(pack.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    pack.write_bytes(damaged)
    options = ("--repository", str(copy), "--password-file", str(saved.password_file))
    found = saved.okr("backup", "verify", "--data", *options, check=False)
    assert found.returncode == 1
    assert f"The repository {copy} is damaged" in found.stderr
    saved.okr("backup", "verify", "--data")


def test_a_restore_that_is_killed_changes_nothing_and_is_repeated(saved: Platform) -> None:
    saved.query("CREATE TABLE IF NOT EXISTS public.of_today AS SELECT 1 AS n")
    saved.okr("down")
    process = saved.start("restore", "--part", "postgres")
    until((saved.state / "restore" / "postgres" / "data" / "PG_VERSION").exists, "files are being restored")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    saved.okr("up", "--only", "guard")
    assert saved.query("SELECT n FROM public.of_today") == [(1,)]
    saved.okr("down")
    saved.okr("restore", "--part", "postgres")
    saved.okr("up", "--only", "guard")
    assert saved.query("SELECT to_regclass('public.of_today')") == [(None,)]
    assert not (saved.state / "restore").exists()
    shutil.rmtree(saved.state / "replaced")


def test_a_full_disk_in_a_restore_leaves_nothing_in_place(saved: Platform, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(small)], check=True)
    try:
        failed = saved.okr("restore", "--to", str(small), "--part", "postgres", "--part", "settings", check=False)
        assert failed.returncode == 1
        assert "No space left on device" in failed.stderr
        assert {path.name for path in small.iterdir()} <= {"backup", "restore", "stack.lock"}
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_stack_does_not_start_on_parts_that_may_not_fit_each_other(saved: Platform) -> None:
    saved.okr("down")
    marker = saved.state / "restore.incomplete"
    marker.touch()
    refused = saved.okr("up", "--only", "guard", check=False)
    assert "was interrupted, so its parts may not fit each other. Repeat the same `okr restore`" in refused.stderr
    saved.okr("restore", "--part", "postgres")
    assert not marker.exists()
    saved.okr("up", "--only", "guard")


def test_after_a_restore_backups_begin_a_new_life_and_a_second_restore_works(saved: Platform) -> None:
    """The second restore from one archive followed the timeline of the first: pgbackrest/pgbackrest #2091."""
    said = saved.okr("backup", "run", "--part", "lake").stdout
    assert "PostgreSQL was restored, or has lost log that was not stored, so this run makes a base backup" in said
    saved.query("CREATE TABLE public.second AS SELECT 2 AS n")
    saved.okr(*RUN)
    saved.okr("down")
    saved.okr("restore", "--part", "postgres")
    saved.okr("up", "--only", "guard")
    assert saved.query("SELECT n FROM public.second") == [(2,)]
    saved.okr(*RUN)


def test_a_time_between_the_last_commit_and_the_backup_can_be_restored(saved: Platform, tmp_path: Path) -> None:
    """Recovery to a time without a later commit fails: EnterpriseDB/barman #881."""
    saved.okr(*RUN)
    saved.query("CREATE TABLE public.last_commit AS SELECT 1 AS n")
    time.sleep(1.1)
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    saved.okr(*RUN)  # no commit but its own
    saved.okr("restore", "--to", str(tmp_path / "new"), "--at", at, "--part", "postgres", "--part", "settings")
    assert (tmp_path / "new" / "postgres" / "data" / "PG_VERSION").read_text(encoding="ascii") == "18\n"
    assert (tmp_path / "new" / "stack.env").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("at", "message"), [
    ("2099-01-01T00:00", "The newest recovery point is .*, which is before 2099-01-01T00:00:00"),
    ("2020-01-01T00:00", "PostgreSQL cannot be restored to 2020-01-01T00:00:00.*Choose a later time"),
    ("yesterday", "'yesterday' is not a time. Expected one such as 2026-11-29T10:00"),
])  # fmt: skip
def test_a_time_that_no_backup_covers_is_refused_with_the_range(
    saved: Platform, tmp_path: Path, at: str, message: str
) -> None:
    """PostgreSQL itself ends with "recovery ended before configured recovery target": CrunchyData #3142."""
    refused = saved.okr("restore", "--to", str(tmp_path / "new"), "--at", at, check=False)
    assert re.search(message, refused.stderr), refused.stderr


def test_no_backup_contains_its_own_password_or_the_key_of_personal_fields(saved: Platform) -> None:
    with _settings(saved, OKR_FIELD_ENCRYPTION_KEY="cGxhbnRlZC1rZXktb2YtMzItYnl0ZXMtYmFzZTY0ISE="):
        saved.okr(*RUN)
    repository = _repository(saved)
    text = repository.read(repository.snapshots("settings")[-1].id, "/settings.env").decode()
    password = saved.password_file.read_text(encoding="utf-8").strip()
    assert "OKR_PG_SUPERUSER_PASSWORD=" in text
    assert password not in text
    assert "cGxhbnRlZC1rZXk" not in text


def test_the_received_log_is_removed_once_no_restore_needs_it(saved: Platform) -> None:
    """A base backup begins at the checkpoint of the run before, and each run completes two segments."""
    for _ in range(4):
        saved.okr(*RUN)
    assert len(segments(saved.state / "backup" / "wal")) <= 5


def test_a_lost_part_of_the_log_leads_to_a_new_base_backup(saved: Platform) -> None:
    """max_slot_wal_keep_size protects the server's disk, at the price of the log that no backup has stored yet."""
    saved.query("SELECT pg_drop_replication_slot('okr_backup')")
    said = saved.okr("backup", "run", "--part", "settings").stdout
    assert "has lost log that was not stored" in said
    assert "  postgres " in said
