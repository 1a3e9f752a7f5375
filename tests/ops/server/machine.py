"""A booted Debian in a container of systemd-nspawn. It keeps its files over a reboot."""

import hashlib
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.polling import until

SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "libpam-systemd", "procps", "ca-certificates", "openssl", "curl",
    "python3", "python3-apt", "python3.11-venv", "python3-pip", "util-linux", "nftables",
)  # fmt: skip
HIERARCHIES = [path for name in ("systemd", "unified") if (path := Path("/sys/fs/cgroup", name)).is_dir()]
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


def cache_folder() -> Path:
    """Return the folder for what is expensive to download."""
    caches = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(caches, "okr-lakehouse", "ops")


def root_file_system() -> Path:
    """Return a minimal Debian 12, which is downloaded once."""
    key = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:12]
    folder = cache_folder() / f"debian-{key}"
    if not folder.is_dir():
        new = folder.with_name(f"{folder.name}.{os.getpid()}")
        new.parent.mkdir(parents=True, exist_ok=True)
        command = [
            "mmdebstrap", "--quiet", "--variant=minbase", "--aptopt=Acquire::Check-Valid-Until \"false\"",
            f"--include={','.join(PACKAGES)}", "bookworm", new, *([SOURCES] if SOURCES.is_file() else []),
        ]  # fmt: skip
        subprocess.run(command, check=True)
        new.rename(folder)
    return folder


class Machine:
    """A running container. `run` executes commands in it as root."""

    def __init__(self, command: Sequence[str | Path], log: Path) -> None:
        self._command, self._log = command, log
        self._launch()

    def _launch(self) -> None:
        with self._log.open("wb") as console:
            self._launcher = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True
            )

    @property
    def init(self) -> int:
        """Return the process id, on this host, of the container's systemd: the only child of nspawn."""
        children = Path(f"/proc/{self._launcher.pid}/task/{self._launcher.pid}/children").read_text(encoding="ascii")
        assert self._launcher.poll() is None, self._log.read_text(errors="replace")
        return int(children)

    def run(
        self, *command: str | Path, check: bool = True, environment: Mapping[str, str] | None = None, seconds: int = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a command and return its result."""
        enter = ["nsenter", "-t", str(self.init), "-m", "-u", "-i", "-n", "-p", "-C", "--"]
        done = subprocess.run(
            [*enter, *command], env=ENVIRONMENT | (environment or {}), cwd="/", capture_output=True, text=True,
            timeout=seconds, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, (
            f"{command}: {done.returncode}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        )
        return done

    def output(self, *command: str | Path) -> str:
        """Run a command and return what it prints."""
        return self.run(*command).stdout.strip()

    def property(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.output("systemctl", "show", "--property", name, "--value", unit)

    def journal(self, unit: str) -> list[str]:
        """Return the messages of a unit."""
        return self.output("journalctl", "--unit", unit, "--output", "cat", "--no-pager").splitlines()

    def wait_until_booted(self) -> None:
        """Wait until systemd has started all units, including those that failed."""

        def is_booted() -> bool:
            with suppress(ValueError, AssertionError, subprocess.TimeoutExpired):
                state = self.run("systemctl", "is-system-running", check=False, seconds=10).stdout.strip()
                return state in ("running", "degraded")
            assert self._launcher.poll() is None, self._log.read_text(errors="replace")
            return False

        until(is_booted, "the container is booted", seconds=120)

    def reboot(self) -> None:
        """Shut down and boot again with the same files, and wait until all units are started."""
        self.run("systemctl", "poweroff", check=False)
        self._launcher.wait(180)
        self._launch()
        self.wait_until_booted()

    def stop(self) -> None:
        """End all processes at once, as a power cut does: a clean shutdown takes half a minute (`reboot` has one)."""
        if self._launcher.poll() is None:
            os.kill(self.init, signal.SIGKILL)  # its children die with it, and nspawn ends
        self._launcher.wait(30)


@contextmanager
def booted(
    folder: Path, binds: Mapping[Path, str], overlays: Mapping[Path, str], *, own_network: bool = False
) -> Iterator[Machine]:
    """Boot a container. What it writes goes to a file system in memory at `folder`, which is gone afterwards.

    `binds` are folders of this host that it can read, and `overlays` those of which it has its own version. It is
    on the network of this host, or alone on its own one, which it may change.
    """
    name = f"okr-{uuid.uuid4().hex[:8]}"
    # The releases are 80,000 small files. On a busy disk, their removal alone would take minutes.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4g,mode=0755", name, folder], check=True)
    root, upper, work = (folder / part for part in ("root", "upper", "work"))
    for each in (root, upper, work):
        each.mkdir()
    layers = f"lowerdir={root_file_system()},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "-o", layers, name, root], check=True)
    groups = [hierarchy / name for hierarchy in HIERARCHIES]
    layered = {}
    for number, (source, target) in enumerate(overlays.items()):
        (own := folder / f"overlay-{number}").mkdir()
        layered[f"{source}:{own}"] = target
    try:
        for group in groups:
            group.mkdir()
        network = ["--private-network"] if own_network else []
        machine = Machine([*_command(name, root, groups, binds, layered), *network], folder / "console")
        try:
            machine.wait_until_booted()
            yield machine
        finally:
            machine.stop()
    finally:
        for group in groups:
            _remove_group(group)
        subprocess.run(["umount", "--lazy", root, folder], check=True)


def _command(
    name: str, root: Path, groups: list[Path], binds: Mapping[Path, str], overlays: Mapping[str, str]
) -> list[str | Path]:
    # In groups of its own, because the container's systemd uses those of its launcher as the root of its groups.
    enter = "".join(f"echo $$ > {group}/cgroup.procs; " for group in groups)
    return [
        "sh", "-c", f'{enter}exec "$@"', "sh", "systemd-nspawn", "--quiet", "--boot", "--directory", root,
        "--machine", name, "--register=no", "--keep-unit", "--console=read-only", "--resolv-conf=off", "--timezone=off",
        "--link-journal=no",
        *(f"--bind-ro={source}:{target}" for source, target in binds.items()),
        *(f"--overlay={layers}:{target}" for layers, target in overlays.items()),
    ]  # fmt: skip


def _remove_group(group: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        folders = sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True)
        try:
            for each in (*folders, group):
                each.rmdir()
        except OSError:  # a process is still ending
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
