"""Commands of packages that do not import serving are recorded in the audit log, with the user of the system."""

import getpass
import os
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from typer.testing import CliRunner, Result

from lakehouse.cli import build
from lakehouse.settings import Settings

Run = Callable[..., Result]
SETTINGS = (
    "pg_superuser_dsn", "dsn_owner", "dsn_loader", "dsn_transform", "dsn_serving", "dsn_organisation", "redis_url",
    "jwt_secret",
)  # fmt: skip


@pytest.fixture
def okr(fresh_database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run any command with the settings of a new warehouse."""
    monkeypatch.setenv("OKR_STATE", str(tmp_path))
    for name in SETTINGS:
        monkeypatch.setenv(f"OKR_{name.upper()}", fresh_database.require(name))
    monkeypatch.setenv("OKR_FIELD_ENCRYPTION_KEY", b64encode(os.urandom(32)).decode())
    return lambda *arguments: CliRunner().invoke(build(), arguments)


@pytest.fixture
def events(fresh_database: Settings) -> Iterator[Callable[[], list[tuple[object, ...]]]]:
    """Return a function that reads the audit log: action, subject, outcome, user and details of each event."""
    query = b"SELECT action, subject, outcome, actor, details FROM auth.audit_event ORDER BY event_id"
    with psycopg.connect(fresh_database.require("dsn_owner"), autocommit=True) as connection:
        yield lambda: connection.execute(query).fetchall()


def test_each_command_that_changes_something_is_recorded_with_its_outcome(okr: Run, events: Callable[[], list]) -> None:
    event_id, login = str(uuid4()), f"kim_{uuid4().hex[:8]}"
    commands = {
        ("keys", "rotate"): ("field_keys.rotated", "success"),
        ("keys", "destroy", "--person", "ada", "--yes"): ("field_keys.destroyed", "failure"),
        ("publication", "rollback"): ("publication.rolled_back", "failure"),
        ("publication", "resume"): ("publication.resumed", "success"),
        ("quarantine", "withhold", event_id): ("event.withhold", "failure"),
        ("analyst", "add", login): ("analyst.added", "success"),
        ("analyst", "remove", login): ("analyst.removed", "success"),
        ("analyst", "remove", "nobody"): ("analyst.removed", "failure"),
        ("forecast", "train"): ("model.trained", "failure"),
        ("forecast", "promote", "7"): ("model.promotion_evaluated", "failure"),
        ("forecast", "rollback", "--to", "7"): ("model.rolled_back", "failure"),
    }
    for command, (action, outcome) in commands.items():
        before, done = len(events()), okr(*command)
        found = events()[before:]
        assert [each[:4:2] for each in found] == [(action, outcome)], (command, found, done.exception)
        assert found[0][3] == f"os:{getpass.getuser()}"
        assert ("error" in found[0][4]) == (outcome == "failure")
    subjects = [each[1] for each in events()]
    assert subjects[4:7] == [event_id, login, login]
    verified = okr("audit", "verify")
    assert verified.exit_code == 0, verified.exception


def test_commands_that_only_show_something_are_not_recorded(okr: Run, events: Callable[[], list]) -> None:
    for command in (("publication", "list"), ("analyst", "list"), ("keys", "status")):
        assert okr(*command).exit_code == 0
    assert events() == []


def test_an_action_that_cannot_be_recorded_says_so(
    okr: Run, events: Callable[[], list], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OKR_JWT_SECRET")
    done = okr("publication", "resume")
    assert done.exit_code == 0
    assert events() == []
    assert "this action is not in the audit log" in done.output
