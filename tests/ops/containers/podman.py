"""podman for tests: a store of its own, and settings with which it works on a machine without systemd or cgroup v2.

Images are built with `--isolation chroot`, and containers run without cgroups, so limits of memory and CPU are not
tested here.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

# Limits at or below ours, because the runtime may not raise them.
SETTINGS = """
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:8192"]
cgroups = "disabled"
[engine]
runtime = "crun"
cgroup_manager = "cgroupfs"
events_logger = "none"
"""
# The runtime refuses the layout of this machine's cgroups, so it sees another one, in its own mount namespace.
CGROUP2 = 'umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'


class Podman:
    """One store of images and containers in a folder. `remove` deletes it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._settings = folder / "containers.conf"
        folder.mkdir(parents=True, exist_ok=True)
        self._settings.write_text(SETTINGS, encoding="ascii")
        # `infra/containers/build` calls a program without options, so these are in a script.
        self.program = folder / "podman"
        command = " ".join(["podman", *self._options])
        self.program.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
        self.program.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables of a process that calls podman."""
        return os.environ | {"CONTAINERS_CONF": str(self._settings), "ENGINE": str(self.program)}

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of podman and return what it printed."""
        return subprocess.run(
            self.command(*arguments), env=self.environment, check=check, capture_output=True, text=True, timeout=120
        )

    def output(self, *arguments: str) -> str:
        """Return what a command prints, without the final line break."""
        result = self.run(*arguments, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def command(self, *arguments: str) -> Sequence[str]:
        """Return the command line of a command of podman. Signals reach podman, not a shell."""
        return ["unshare", "--mount", "sh", "-c", CGROUP2, "sh", str(self.program), *arguments]

    def remove(self) -> None:
        """Delete all images and containers."""
        self.run("rm", "--all", "--force", check=False)
        subprocess.run(["umount", self._folder / "store" / "overlay"], capture_output=True, check=False)
        subprocess.run(["rm", "-rf", self._folder], check=True)

    @property
    def _options(self) -> list[str]:
        return [
            "--root",
            str(self._folder / "store"),
            "--runroot",
            str(self._folder / "run"),
            "--storage-driver=overlay",
        ]
