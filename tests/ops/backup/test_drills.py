"""Drills: lose a part or everything, restore it, and compare. `okr lake verify` and the content of all tables judge."""

import shutil
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from infra.backup import kafka, lake
from infra.local.env_file import read_env_file, write_env_file
from infra.local.stack import Stack, open_stack
from infra.local.supervisor import Supervisor
from tests import figures
from tests.ops.backup.platform import Platform
from tests.polling import until
from tests.runbooks import FOLDER, LOCAL, lines
from tests.serving.published_organisation import build_and_publish

pytestmark = pytest.mark.xdist_group("backup")
Content = dict[str, tuple[int, str]]


@dataclass
class History:
    """What the platform was at three times, and the figures of the drills."""

    early: Content = field(default_factory=dict)
    early_at: str = ""
    early_lake: dict[str, int] = field(default_factory=dict)
    late: Content = field(default_factory=dict)
    rows: list[list[str]] = field(default_factory=list)


@pytest.fixture(scope="module")
def history(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> History:
    """Two complete backups. Between them, events arrive; the time in between is one to which drills go back."""
    found = History()
    _settle(platform)
    build_and_publish(platform.settings, tmp_path_factory.mktemp("dbt"))
    platform.okr("backup", "run", name="first backup")
    _live(platform)
    found.early, found.early_lake = platform.content(), _landed(platform)
    found.early_at = datetime.now(UTC).isoformat()
    time.sleep(1.5)
    _live(platform)
    platform.okr("backup", "run", name="second backup")
    found.late = platform.content()
    assert found.early["raw.okr_user_events"] != found.late["raw.okr_user_events"]
    assert any(name.startswith(("marts", "store")) for name in found.late), "there are no marts to compare"
    return found


def test_the_newest_point_is_read_and_restored_beside_the_running_platform(
    platform: Platform, history: History
) -> None:
    said = platform.okr("backup", "verify", "--data", "--restore", name="verify").stdout
    assert "2 recovery points" in said
    metrics = (platform.state / "metrics" / "backup.prom").read_text(encoding="utf-8")
    for part in ("postgres", "wal", "lake", "kafka", "settings"):
        assert f'okr_backup_last_result{{part="{part}"}} 1' in metrics
        assert f'okr_backup_last_verified_timestamp_seconds{{part="{part}"}}' in metrics


def test_everything_is_lost_but_the_repository_and_its_key(platform: Platform, history: History) -> None:
    """The commands are those of the runbook."""
    see, bring_back, up, back_up, verify = runbook_commands(platform)
    with _drill(platform, history, "everything, newest point"):
        shutil.rmtree(platform.state)
        platform.okr(*see)
        platform.okr(*bring_back)
    assert platform.content() == history.late
    assert (up, back_up) == (("up",), ("backup", "run"))
    for command in (back_up, verify):
        platform.okr(*command)
    before = platform.query("SELECT count(*) FROM raw.okr_user_events")
    _live(platform)
    assert platform.query("SELECT count(*) FROM raw.okr_user_events") > before, "new events go on at the lake's offsets"


def test_everything_goes_back_to_a_time_in_the_past(platform: Platform, history: History) -> None:
    with _drill(platform, history, "everything, a time in the past"):
        shutil.rmtree(platform.state)
        platform.okr("restore", *platform.with_key, "--at", history.early_at, name="restore")
    assert platform.content() == history.early
    assert _landed(platform) == history.early_lake
    platform.okr("backup", "run", name="backup after restore")


def test_a_lost_postgresql_goes_back_in_time_and_catches_up_from_lake_and_kafka(
    platform: Platform, history: History
) -> None:
    at = datetime.now(UTC).isoformat()
    time.sleep(1.5)
    _live(platform)
    platform.okr("backup", "run", "--part", "lake", name="small backup")
    newest = platform.events()
    with _drill(platform, history, "PostgreSQL, a time in the past"):
        shutil.rmtree(platform.state / "postgres")
        platform.okr("restore", "--at", at, "--part", "postgres", name="restore")
    _settle(platform)
    assert platform.events() == newest
    platform.okr("backup", "run", name="backup after restore")


def test_a_lost_lake_is_landed_again_from_where_the_backup_ends(platform: Platform, history: History) -> None:
    _live(platform)  # later than the backup: only Kafka and PostgreSQL have these events
    landed = _landed(platform)
    with _drill(platform, history, "lake, newest point"):
        shutil.rmtree(platform.state / "lake")
        platform.okr("restore", "--part", "lake", name="restore")
    until(lambda: _landed(platform) == landed, "landing has caught up")
    _verify(platform)


def test_a_lost_kafka_continues_at_the_offsets_of_the_lake_and_takes_the_state_tables_along(
    platform: Platform, history: History
) -> None:
    """The state consumer was behind landing, so only the lake has what it must still apply."""
    before = platform.query("SELECT count(*) FROM app.check_ins")
    supervisor = Supervisor(open_stack_of(platform))
    supervisor.stop("state")
    until(lambda: supervisor.states()["state"]["statename"] == "STOPPED", "the state consumer has stopped")
    platform.okr("produce", "live", "--seconds", "2", "--rate", "20", "--scale", "small")
    _verify(platform)
    until(lambda: '"unlanded": 0' in platform.okr("lake", "verify", "--json").stdout, "all have landed")
    platform.okr("load")
    raw = platform.content(("raw.",))
    with _drill(platform, history, "Kafka (definitions)"):
        shutil.rmtree(platform.state / "kafka")
        assert "Applied " in platform.okr("restore", "--part", "kafka", name="restore").stdout
    _settle(platform)
    assert platform.content(("raw.",)) == raw
    assert platform.query("SELECT count(*) FROM app.check_ins") > before
    _live(platform)


def test_an_older_copy_of_kafkas_definitions_is_enough_after_the_loss_of_everything(
    platform: Platform, history: History
) -> None:
    """As on servers, where the playbook copies them to the host of backups with each release."""
    copy = platform.repository.with_name("definitions")
    data = platform.state / "kafka" / "data"
    for path in kafka.files_of(data):
        (copy / path.relative_to(data)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy / path.relative_to(data))
    _live(platform)
    env = platform.state / "stack.env"
    write_env_file(env, {**read_env_file(env), "OKR_BACKUP_KAFKA_DATA": str(copy)})
    said = platform.okr("backup", "run").stdout
    assert "NOT STORED" not in said
    before = platform.content()
    with _drill(platform, history, "everything, with an older copy of Kafka's definitions"):
        shutil.rmtree(platform.state)
        platform.okr("restore", *platform.with_key, name="restore")
    assert platform.content() == before
    _live(platform)


def open_stack_of(platform: Platform) -> Stack:
    stack = open_stack(platform.state)
    assert stack is not None
    return stack


def test_figures(platform: Platform, history: History) -> None:
    assert len(history.rows) == 6
    figures.report(
        "Backup and restore: drills",
        ["lost", "restore, s", "until the stack is up, s", "landed events lost", "rows compared"],
        history.rows,
        "Restores of a small local stack, from a repository in a folder. The newest point was made by the last backup, "
        "so what the lake and Kafka lose together is what has landed since then.",
    )
    size = sum(path.stat().st_size for path in platform.repository.rglob("*") if path.is_file()) / 1e6
    figures.report(
        "Backup: duration and size",
        ["first, s", "second, s", "small (log and lake), s", "verify by reading and restoring, s", "repository, MB"],
        [[*(f"{platform.seconds[name]:.0f}" for name in ("first backup", "second backup", "small backup", "verify")),
          f"{size:.0f}"]],
    )  # fmt: skip


def runbook_commands(platform: Platform) -> list[tuple[str, ...]]:
    """Return the commands of the runbook for a total loss, with this platform's repository."""
    places = {"/mnt/backup/okr": str(platform.repository), "/mnt/backup/okr.password": str(platform.password_file)}
    found = [line.text.split()[1:] for line in lines(FOLDER / "restore.md", "Fix", "Verify", where=LOCAL)]
    return [tuple(places.get(word, word) for word in words) for words in found]


class _drill:  # noqa: N801 -- reads as a statement
    """Stop the platform, let the block destroy and restore, start it, and note the times and the verdict."""

    def __init__(self, platform: Platform, history: History, name: str) -> None:
        self._platform, self._history, self._name = platform, history, name

    def __enter__(self) -> None:
        self._platform.okr("down")

    def __exit__(self, *failure: object) -> None:
        if failure[0] is not None:
            return
        self._platform.okr("up", "--only", "land,state", name="up")
        lost = _verify(self._platform)
        rows = sum(count for count, _ in self._platform.content().values())
        seconds = self._platform.seconds
        self._history.rows.append(
            [self._name, f"{seconds['restore']:.0f}", f"{seconds['restore'] + seconds['up']:.0f}", lost, f"{rows:,}"]
        )


def _verify(platform: Platform) -> str:
    """Wait until the ledger balances: after some restores, landing first reads again what Kafka still has."""
    until(lambda: platform.okr("lake", "verify", check=False).returncode == 0, "the ledger balances", seconds=120)
    return "0"


def _live(platform: Platform) -> None:
    platform.okr("produce", "live", "--seconds", "2", "--rate", "20", "--scale", "small")
    _settle(platform)


def _settle(platform: Platform) -> None:
    """Wait until everything has landed, is applied to the state tables, and is loaded."""

    def is_settled() -> bool:
        platform.okr("load")
        done = platform.okr("lake", "verify", "--json", check=False)
        landed = lake.version_of(str(platform.state / "lake"), "okr_user_events").positions
        applied = dict(
            platform.query(
                "SELECT kafka_partition, next_offset FROM app.consumer_offset WHERE topic = 'okr_user_events'"
            )
        )
        return done.returncode == 0 and landed == applied and '"unlanded": 0' in done.stdout

    until(is_settled, "everything has landed and is loaded", seconds=180)


def _landed(platform: Platform) -> dict[str, int]:
    tables = lake.current_versions(str(platform.state / "lake"))
    return {
        f"{topic}/{partition}": offset for topic, each in tables.items() for partition, offset in each.positions.items()
    }
