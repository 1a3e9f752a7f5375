"""`.ci/deploy` with the real `okr deploy`, on a host whose units are child processes. Only ssh is replaced."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ops.deploy.conftest import MakeHost, TestHost, small_hosts
from tests.ops.deploy.releases import install_small
from tests.ops.deploy.test_interrupts import GOLDEN

__all__ = ["small_hosts"]

ROOT = Path(__file__).parents[3]
OKR = f"""#!{sys.executable}
import sys
sys.path.insert(0, {str(ROOT)!r})
{GOLDEN}
if sys.argv[1:3] == ["installation", "audit"]:
    sys.exit(print("[]"))
from lakehouse.cli import main
sys.argv += ["--config", "@CONFIG@"]
main()
"""
PROGRAMS = {
    "ssh": '#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n',
    "scp": "#!/bin/sh\n",
    "sudo": '#!/bin/sh\nexec "$@"\n',
    "okr-release": "#!/bin/sh\n",  # the releases of this test are there already
    "okr": OKR,
}


def deploy(host: TestHost, folder: Path, version: str, smoke: str) -> tuple[int, str]:
    """Run a copy of `.ci/deploy` beside a `smoke` that passes or fails."""
    ci, dist = folder / f"ci-{version}", folder / f"dist-{version}"
    for each in (ci, dist):
        each.mkdir()
    programs = PROGRAMS | {"deploy": (ROOT / ".ci" / "deploy").read_text(), "smoke": f"#!/bin/sh\n{smoke}\n"}
    for name, text in programs.items():
        (ci / name).write_text(text.replace("@CONFIG@", str(host.config)))
        (ci / name).chmod(0o755)
    wheel = dist / f"okr_lakehouse-{version}-py3-none-any.whl"
    wheel.write_text(version)
    (dist / "SHA256SUMS").write_text(f"{hashlib.sha256(wheel.read_bytes()).hexdigest()}  {wheel.name}\n")
    variables = {
        "PATH": f"{ci}:{os.environ['PATH']}", "DEPLOY_HOSTS": "deploy@app-1", "DEPLOY_KNOWN_HOSTS": "app-1 x",
        "DEPLOY_SSH_KEY": "key", "DEPLOY_URL": "https://okr.example.org",
    }  # fmt: skip
    done = subprocess.run(
        [ci / "deploy", dist], env=host.environment | variables, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.timeout(600)
def test_a_release_is_deployed_checked_and_taken_back_if_the_public_address_fails(
    small_hosts: MakeHost, tmp_path: Path
) -> None:
    with small_hosts() as host:
        for version in ("v1", "v2", "v3"):
            install_small(host.host.root, version, **({"probability": 0.6} if version == "v3" else {}))
        status, said = deploy(host, tmp_path, "v1", "exit 0")
        assert status == 0, said
        assert "v1 serves (blue).\n" in said
        assert "1 golden rows were compared." in said
        # The release itself is good, but users do not reach it.
        status, said = deploy(host, tmp_path, "v2", '[ ! -e "$0.called" ] && touch "$0.called"')
        assert status == 1, said
        assert "FAILED: The public address no longer answers as expected." in said
        assert "The earlier release serves on 1 hosts that had the new one." in said
        assert "v1 serves" in host.deploy("check", "v1", arm=GOLDEN)[1]
        # A release that `okr deploy` refuses: it went back by itself, and no second rollback follows.
        status, said = deploy(host, tmp_path, "v3", "exit 0")
        assert status == 1, said
        assert "Golden row 1: expected probability = 0.5" in said
        assert "deploy rollback\n" not in said
        assert "The earlier release serves on 0 hosts that had the new one." in said
        status, said = host.deploy("check", "v3", arm=GOLDEN)
        assert status == 1
        assert "Expected v3 to serve, but okr-api@" in said
