"""`.ci/deploy` through a real sshd on loopback: keys, host keys, `scp`, and the commands as sshd's shell gets them."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.polling import until

PROGRAM = Path(__file__).parents[3] / ".ci" / "deploy"
ADDRESS = "127.0.0.77"
SSHD = "/usr/sbin/sshd"
RECORD = '#!/bin/sh\nprintf "%s\\n" "$(basename "$0") $*" >>"$(dirname "$0")/calls"\n'


@dataclass(frozen=True)
class Server:
    folder: Path
    key: str
    host_key: str

    def deploy(self, **variables: str) -> tuple[int, str, list[str]]:
        """Deploy release 2.0.0; return the status, the output, and the commands that the host got."""
        dist = self.folder / "dist"
        dist.mkdir(exist_ok=True)
        wheel = dist / "okr_lakehouse-2.0.0-py3-none-any.whl"
        wheel.write_text("a wheel")
        (dist / "SHA256SUMS").write_text(f"{hashlib.sha256(wheel.read_bytes()).hexdigest()}  {wheel.name}\n")
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "DEPLOY_HOSTS": f"root@{ADDRESS}",
            "DEPLOY_KNOWN_HOSTS": f"{ADDRESS} {self.host_key}", "DEPLOY_SSH_KEY": self.key,
            "DEPLOY_URL": "http://127.0.0.1:1", "SMOKE_WAIT_S": "0",
        }  # fmt: skip
        done = subprocess.run(
            [PROGRAM, dist], env=environment | variables, capture_output=True, text=True, check=False, timeout=120
        )
        calls = self.folder / "bin" / "calls"
        return done.returncode, done.stdout + done.stderr, calls.read_text().splitlines() if calls.exists() else []


def new_key(file: Path) -> tuple[str, str]:
    """Return a new private and public key."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file], check=True)
    return file.read_text(), " ".join(file.with_suffix(".pub").read_text().split()[:2])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """An sshd whose `sudo`, `okr` and `okr-release` only record; the home of root is a folder of the test."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("okr", "okr-release"):
        (programs / name).write_text(RECORD)
    (programs / "okr").write_text(f'{RECORD}case "$*" in *--json) echo "[]" ;; esac\n')
    (programs / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    key, public = new_key(tmp_path / "id")
    _, host_key = new_key(tmp_path / "host")
    (tmp_path / "authorized_keys").write_text(f"{public}\n")
    Path("/run/sshd").mkdir(exist_ok=True)
    sftp = shutil.which("sftp-server", path="/usr/lib/openssh:/usr/libexec/openssh")
    settings = {
        "ListenAddress": f"{ADDRESS}:22",
        "HostKey": tmp_path / "host",
        "AuthorizedKeysFile": tmp_path / "authorized_keys",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "UsePAM": "no",
        "StrictModes": "no",
        "PidFile": "none",
        "SetEnv": f"PATH={programs}:/usr/bin:/bin",
        "Subsystem": f"sftp {sftp} -d {tmp_path}",
    }
    (tmp_path / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    with subprocess.Popen([SSHD, "-D", "-e", "-f", tmp_path / "sshd_config"], stderr=subprocess.PIPE) as daemon:
        try:
            until(lambda: subprocess.run(["ssh-keyscan", ADDRESS], capture_output=True, check=False).stdout, "sshd")
            yield Server(tmp_path, key, host_key)
        finally:
            daemon.terminate()


def test_commands_and_the_wheel_reach_the_host(server: Server) -> None:
    status, said, calls = server.deploy()
    assert status == 3, "the public address of this test does not answer"
    wheel = "okr_lakehouse-2.0.0-py3-none-any.whl"
    assert calls == [
        "okr-release list", "okr installation audit --json", f"okr-release install {wheel}", "okr deploy release 2.0.0",
        "okr deploy check 2.0.0", "okr installation audit --json",
    ]  # fmt: skip
    assert (server.folder / wheel).read_text() == "a wheel"
    assert "PRIVATE KEY" not in said


def test_another_host_key_is_refused_before_anything_is_done(server: Server) -> None:
    _, other = new_key(server.folder / "other")
    status, said, calls = server.deploy(DEPLOY_KNOWN_HOSTS=f"{ADDRESS} {other}")
    assert (status, calls) == (1, [])
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in said


def test_another_private_key_is_refused(server: Server) -> None:
    key, _ = new_key(server.folder / "stranger")
    status, said, calls = server.deploy(DEPLOY_SSH_KEY=key)
    assert (status, calls) == (1, [])
    assert "Permission denied (publickey)" in said
