"""`okr config` as an operator runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

OKR = str(Path(sys.executable).parent / "okr")


def okr(state: Path, *arguments: str, **values: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OKR_")}
    environment |= {f"OKR_{name}": value for name, value in values.items()} | {"OKR_STATE": str(state)}
    return subprocess.run([OKR, "config", *arguments], env=environment, capture_output=True, text=True, check=False)


def test_valid_settings_pass_the_check(tmp_path: Path) -> None:
    checked = okr(tmp_path, "check", "--require", "OKR_LAKE_URI", ENVIRONMENT="production", LAKE_URI="s3://lake")
    assert (checked.returncode, checked.stdout) == (0, "The settings are valid for production.\n")


def test_all_errors_of_a_check_are_printed_at_once(tmp_path: Path) -> None:
    checked = okr(
        tmp_path, "check", "--require", "OKR_LAKE_URI", "--require", "OKR_LAKE",
        ENVIRONMENT="production", API_PORT="x", JWT_SECRET="hunter2", API_WORKER="3",
    )  # fmt: skip
    assert checked.returncode == 1
    first, *errors = checked.stderr.splitlines()
    assert first == "okr: Invalid settings:"
    assert [line.strip().partition(":")[0].partition(" ")[0] for line in errors] == [
        "OKR_API_PORT", "OKR_JWT_SECRET", "OKR_API_WORKER", "OKR_LAKE_URI", "OKR_LAKE",
    ]  # fmt: skip
    assert "hunter2" not in checked.stderr


def test_settings_are_shown_with_their_sources_even_if_some_are_invalid(tmp_path: Path) -> None:
    shown = okr(tmp_path, "show", "--json", API_PORT="x", JWT_SECRET="hunter2", LAKE_URI="s3://lake")
    assert shown.returncode == 1
    assert "OKR_API_PORT" in shown.stderr
    found = {each["name"]: each for each in json.loads(shown.stdout)}
    assert found["OKR_LAKE_URI"] == {
        "name": "OKR_LAKE_URI", "value": "s3://lake", "origin": "environment", "is_secret": False
    }  # fmt: skip
    assert found["OKR_JWT_SECRET"]["value"] == "********"
    assert "hunter2" not in shown.stdout + shown.stderr
    assert "OKR_LAKE_URI " in okr(tmp_path, "show", LAKE_URI="s3://lake").stdout
