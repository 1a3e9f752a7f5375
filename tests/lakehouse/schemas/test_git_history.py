"""The committed schemas match the models, and the models are compatible with every committed version."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lakehouse.errors import PermanentError
from lakehouse.schemas.check import incompatible_changes, stale_files
from lakehouse.schemas.generate import FOLDER, Schema, all_schemas, as_text, file_of
from lakehouse.schemas.git_history import read_history

NAME = "okr.thing.made.v1"


def schema(*fields: str) -> Schema:
    properties = {field: {"type": "string"} for field in fields}
    return {"type": "object", "properties": properties, "required": list(fields), "x-topic": "t", "x-key": "a"}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder of schemas in a new git repository, with one committed version of one event type."""
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "schemas").mkdir()
    write(tmp_path, schema("a", "b"))
    git(tmp_path, "add", ".")
    commit(tmp_path)
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def write(repository: Path, content: Schema) -> None:
    (repository / "schemas" / f"{NAME}.json").write_text(as_text(content))


def commit(repository: Path) -> None:
    git(repository, "commit", "-q", "-a", "-m", "another version")


def changes(repository: Path, now: dict[str, Any], against: str = "") -> tuple[list[str], str]:
    history = read_history(repository / "schemas", against)
    return incompatible_changes(now, history), history.reach


def test_the_committed_schemas_match_the_models() -> None:
    assert stale_files(all_schemas(), FOLDER) == []


def test_the_models_read_every_event_of_every_committed_version() -> None:
    history = read_history(FOLDER)
    assert history.versions
    assert incompatible_changes(all_schemas(), history) == []


def test_an_incompatible_change_is_reported_with_type_field_and_remedy(repository: Path) -> None:
    (message,), reach = changes(repository, {NAME: schema("a")})
    assert message.startswith(f"{NAME}: b: the field was removed (compared with ")
    assert "okr.thing.made.v2, in its own file" in message
    assert reach == "compared with 1 committed version"


def test_rewriting_and_committing_the_file_does_not_hide_an_incompatible_change(repository: Path) -> None:
    now = {NAME: schema("a")}
    write(repository, now[NAME])
    (message,), _ = changes(repository, now)
    assert "compared with commit" in message
    commit(repository)
    (repository / "other").write_text("")
    git(repository, "add", ".")
    commit(repository)
    (message,), reach = changes(repository, now)
    assert "b: the field was removed" in message
    assert reach == "compared with 2 committed versions"


def test_an_incompatible_change_in_several_steps_is_reported(repository: Path) -> None:
    """First optional, then removed: each step is compared with all earlier versions, not only with the last."""
    optional = schema("a") | {"properties": schema("a", "b")["properties"]}
    write(repository, optional)
    commit(repository)
    (message,), _ = changes(repository, {NAME: schema("a")})
    assert "b: the field was removed" in message


def test_a_removed_event_type_is_reported_even_if_its_file_was_removed_too(repository: Path) -> None:
    git(repository, "rm", "-q", f"schemas/{NAME}.json")
    commit(repository)
    (repository / "schemas").mkdir()  # git removes an empty folder
    (message,), _ = changes(repository, {})
    assert "the event type was removed" in message


def test_the_history_of_another_revision_is_compared_too(repository: Path) -> None:
    git(repository, "checkout", "-q", "-b", "theirs")
    write(repository, schema("a", "b") | {"properties": schema("a", "b", "c")["properties"]})
    commit(repository)
    git(repository, "checkout", "-q", "main")
    assert changes(repository, {NAME: schema("a", "b")}) == ([], "compared with 1 committed version")
    (message,), _ = changes(repository, {NAME: schema("a", "b")}, "theirs")
    assert "c: the field was removed" in message


def test_a_shallow_clone_compares_with_what_it_has_and_says_so(repository: Path, tmp_path: Path) -> None:
    write(repository, schema("a", "b") | {"properties": schema("a", "b", "c")["properties"]})
    commit(repository)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", str(clone))
    (message,), reach = changes(clone, {NAME: schema("a", "b")})
    assert "c: the field was removed" in message
    assert reach.startswith("compared with 1 committed version; this clone is shallow")


def test_without_git_the_present_file_is_compared_and_the_message_says_so(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    write(tmp_path, schema("a", "b"))
    (message,), reach = changes(tmp_path, {NAME: schema("a")})
    assert "compared with the file as it is now" in message
    assert "git is not available" in reach


def test_missing_changed_and_unknown_files_are_reported(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("{}")
    file_of(tmp_path, "changed").write_text("{}")
    first, second, third = stale_files({"changed": schema("a"), "missing": schema("a")}, tmp_path)
    assert "changed.json does not match its model" in first
    assert "missing.json is missing" in second
    assert "old.json belongs to no event type" in third


def test_a_file_that_is_not_json_is_reported(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(PermanentError, match=r"broken\.json is not JSON"):
        read_history(tmp_path)


def test_every_schema_names_itself_its_topic_and_its_key() -> None:
    for name, content in all_schemas().items():
        assert content["$id"] == f"urn:okr-lakehouse:schema:{name}"
        assert content["$schema"].startswith("https://json-schema.org/")
        assert json.loads(as_text(content)) == content
        if name != "envelope":
            assert content["x-key"] in content["required"]


def test_an_unknown_git_revision_is_an_error(repository: Path) -> None:
    with pytest.raises(PermanentError, match="has no revision nope"):
        read_history(repository / "schemas", "nope")
