"""The blocks of docs/api-guide.md run unchanged against the running API: those of the shell, then those in Python."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ingestion.crash import environment_of
from tests.serving.live_server import Api

PAGE = (Path(__file__).parents[2] / "docs" / "api-guide.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def script(language: str, separator: str) -> str:
    return separator.join(block for name, block in BLOCKS if name == language)


def run(command: list[str], environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def _programs() -> None:
    for program in ("curl", "jq"):
        if shutil.which(program) is None:
            told = f"Left out: {program} is missing. Install it by `apt-get install {program}` and run the tests again."
            if os.environ.get("CI"):
                pytest.fail(told)
            pytest.skip(told)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("guide")


@pytest.fixture
def environment(running_api: Api, folder: Path) -> dict[str, str]:
    """What the guide asks of its reader, and the settings of `okr`."""
    settings = running_api.settings
    return environment_of(settings, folder) | {
        "OKR_API_URL": str(running_api.client.base_url).rstrip("/"),
        "OKR_USER": "app",
        "OKR_PASSWORD": settings.require("app_password"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


def test_the_blocks_of_the_shell_run(environment: dict[str, str], folder: Path) -> None:
    told = run(["bash", "-euo", "pipefail", "-c", script("sh", "\necho --- >&2\n")], environment, folder)
    assert "304\n" in told
    for expected in (
        '"username": "app"', '["define","predict","read-data","record"]', '"status": "forecast"', '"accepted"',
        "urn:okr:problem:validation", "urn:okr:problem:unknown-name", "event: ", "ratelimit: ",
    ):  # fmt: skip
        assert expected in told.lower() or expected in told, expected
    *_, first, second, _etag = [
        line for line in told.splitlines() if re.fullmatch(r'[0-9a-f-]{36}|"[0-9a-f-]{36}"', line)
    ]
    assert first == second
    assert (folder / "progress_days.parquet").read_bytes().startswith(b"PAR1")


def test_the_blocks_in_python_run(environment: dict[str, str], folder: Path) -> None:
    assert (folder / "key.txt").exists(), "The blocks of the shell create the key: run the whole file."
    (folder / "guide.py").write_text(script("python", "\n"), encoding="utf-8")
    told = run([sys.executable, "-W", "error::DeprecationWarning", "guide.py"], environment, folder)
    for expected in ("app service", "unknown None [] This publication has no", "not-found", "query limit", "Growth"):
        assert expected in told, expected


def test_the_guide_shows_every_example_in_both_ways() -> None:
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    for section in sections:
        if not section.startswith("Asynchronous"):
            assert "```sh" in section, section[:40]
        assert "```python" in section, section[:40]
