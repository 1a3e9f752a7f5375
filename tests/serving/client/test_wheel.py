"""The wheel of okr_client works in an environment that has nothing else."""

import os
import subprocess
import sys
from pathlib import Path

from tests.serving.live_server import Api

ROOT = Path(__file__).parents[3]
UV = Path(sys.executable).with_name("uv")
CALL = """
import sys
from okr_client import Okr
with Okr(sys.argv[1], username="app", password=sys.argv[2]) as okr:
    print(okr.data.publication().publication_id, okr.auth.me().username)
"""


def run(*command: str | Path, cwd: Path = ROOT, **variables: str) -> str:
    done = subprocess.run(
        [str(each) for each in command], cwd=cwd, env=os.environ | variables, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def test_the_wheel_is_built_installed_and_calls_the_api(api: Api, tmp_path: Path) -> None:
    run(
        sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "dist",
        cwd=ROOT / "serving" / "client",
    )  # fmt: skip
    (wheel,) = (tmp_path / "dist").glob("okr_client-*.whl")
    environment = tmp_path / "environment"
    run(ROOT / ".ci" / "clean-env", UV, "venv", "--quiet", "--python", sys.executable, environment)
    python = environment / "bin" / "python"
    # The versions of the lock, so that uv finds the wheels of dependencies in its cache.
    constraints = ["--constraint", ROOT / "requirements" / "dev.txt"]
    run(ROOT / ".ci" / "clean-env", UV, "pip", "install", "--quiet", "--python", python, *constraints, wheel)
    installed = run(ROOT / ".ci" / "clean-env", UV, "pip", "freeze", "--python", python)
    assert {line.partition("=")[0].partition(" ")[0] for line in installed.splitlines()} == {
        "anyio", "certifi", "h11", "httpcore", "httpx", "idna", "msgspec", "okr-client", "typing-extensions",
    }  # fmt: skip
    called = run(python, "-I", "-c", CALL, str(api.client.base_url), api.settings.require("app_password"), cwd=tmp_path)
    assert called.split() == ["1", "app"]
