#!/usr/bin/python3.11 -I
"""`okr-release`: install releases on a server, list them, and point links at them.

Ansible copies this file to /usr/local/sbin/okr-release. It uses only the standard library, because it installs the
first release. Each release is a folder `/opt/okr/releases/<version>` with a virtual environment `.venv`, which has the
wheel of the release and the packages of the hash lock in this wheel. A release is complete or absent: it is built in a
folder beside the others, and then renamed. The links `/opt/okr/current`, `blue` and `green` name the releases in use.
"""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

LINKS = ("current", "blue", "green")
KEPT = 3  # releases, in addition to older ones that a link names
LOCK = "infra/server/requirements.txt"  # in the wheel; pyproject.toml puts requirements/server.txt there
RECORD = "release.json"
UNFINISHED = "."  # the first character of the names of folders that are being built or removed


class ReleaseError(Exception):
    """The command failed and changed nothing; the message says what was expected, what was found and what to do."""


@dataclass(frozen=True)
class Host:
    """Where the releases of a host are, and with which programs they are installed."""

    root: Path
    uv: Path
    python: Path

    @property
    def releases(self) -> Path:
        """Return the folder of the releases."""
        return self.root / "releases"

    def release(self, version: str) -> Path:
        """Return the folder of an installed release.

        Raises:
            ReleaseError: it is not installed.
        """
        folder = self.releases / version
        if version.startswith(UNFINISHED) or "/" in version or not (folder / RECORD).is_file():
            raise ReleaseError(f"{version} is not installed. Installed: {', '.join(self.installed()) or 'nothing'}.")
        return folder

    def installed(self) -> list[str]:
        """Return the installed versions, the newest installation first."""
        records = [path for path in self.releases.glob(f"*/{RECORD}") if not path.parent.name.startswith(UNFINISHED)]
        return [path.parent.name for path in sorted(records, key=lambda path: path.stat().st_mtime, reverse=True)]

    def links(self) -> dict[str, str]:
        """Return the version that each existing link names."""
        found = {name: self.root / name for name in LINKS}
        return {name: link.readlink().name for name, link in found.items() if link.is_symlink()}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Prevent two commands from changing releases at the same time.

        Raises:
            ReleaseError: another command is running.
        """
        self.releases.mkdir(parents=True, exist_ok=True)
        with (self.releases / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ReleaseError("Another okr-release is running. Wait until it has finished.") from None
            yield


def install(host: Host, wheel: Path) -> str:
    """Install the release of a wheel, remove old releases, and say what was done. Nothing is done for a known wheel.

    Raises:
        ReleaseError: the release could not be installed; the installed ones are unchanged.
    """
    version, digest = _version_of(wheel), hashlib.sha256(wheel.read_bytes()).hexdigest()
    target, new = host.releases / version, host.releases / f"{UNFINISHED}new-{version}"
    with host.locked():
        _remove_unfinished(host)
        if target.exists():
            if json.loads((target / RECORD).read_text(encoding="utf-8"))["sha256"] != digest:
                raise ReleaseError(
                    f"{version} is already installed, from a wheel with other contents. Raise the version in "
                    "pyproject.toml and build the wheel again."
                )
            return f"{version} is already installed."
        try:
            _build(host, wheel, new)
            record = {"version": version, "sha256": digest, "installed_at": datetime.now(UTC).isoformat()}
            (new / RECORD).write_text(json.dumps(record) + "\n", encoding="utf-8")
            os.sync()  # before the rename, so that a release is also complete after a power cut
            new.rename(target)
        except OSError as error:
            raise ReleaseError(f"{version} was not installed: {error}.") from error
        finally:
            shutil.rmtree(new, ignore_errors=True)
        removed = _prune(host)
    return " ".join([f"{version} was installed.", *(f"{old} was removed." for old in removed)])


def use(host: Host, version: str, links: Sequence[str]) -> str:
    """Point links at an installed release, each atomically.

    Raises:
        ReleaseError: the release is not installed, or a link has an unknown name.
    """
    if unknown := sorted({*links} - {*LINKS}):
        raise ReleaseError(f"{', '.join(unknown)} is not a link. Expected {', '.join(LINKS)}.")
    with host.locked():
        host.release(version)
        for name in links:
            new = host.root / f".{name}.new"
            new.unlink(missing_ok=True)
            new.symlink_to(Path("releases", version))
            new.rename(host.root / name)
    return f"{', '.join(links)} -> {version}"


def listing(host: Host) -> str:
    """Return a line for each installed release, the newest first, with the links that name it."""
    links = host.links()
    lines = [
        " ".join([version, *(name for name in LINKS if links.get(name) == version)]) for version in host.installed()
    ]
    return "\n".join(lines) or "No release is installed."


def _version_of(wheel: Path) -> str:
    parts = wheel.name.split("-")
    if not wheel.is_file() or len(parts) != 5 or parts[0] != "okr_lakehouse" or not zipfile.is_zipfile(wheel):
        raise ReleaseError(
            f"{wheel} is not a wheel okr_lakehouse-<version>-py3-none-any.whl. `make release` builds it."
        )
    return parts[1]


def _build(host: Host, wheel: Path, new: Path) -> None:
    """Create the environment. It is relocatable, because its folder is renamed afterwards."""
    environment, lock = new / ".venv", new / "requirements.txt"
    _run([host.uv, "venv", "--quiet", "--relocatable", "--no-project", "--python", host.python, environment])
    try:
        with zipfile.ZipFile(wheel) as archive:
            lock.write_bytes(archive.read(LOCK))
    except KeyError:
        raise ReleaseError(f"{wheel} has no {LOCK}. Build it with `make release`.") from None
    pip: list[str | Path] = [host.uv, "pip", "install", "--quiet", "--python", environment / "bin" / "python"]
    _run([*pip, "--require-hashes", "--requirements", lock])
    _run([*pip, "--no-deps", wheel])
    _run([environment / "bin" / "okr", "--help"])


def _run(command: Sequence[str | Path]) -> None:
    # Services cannot write to a release, so Python's bytecode is compiled now.
    environment = {"UV_COMPILE_BYTECODE": "1", "UV_NO_PROGRESS": "1"} | os.environ
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        words = " ".join(map(str, command[:3]))
        raise ReleaseError(
            f"`{words} ...` failed (status {done.returncode}), so nothing was installed:\n{done.stderr[-2000:].strip()}"
        )


def _prune(host: Host) -> list[str]:
    """Remove all but the newest releases and those that a link names; return the removed versions."""
    versions, linked = host.installed(), {*host.links().values()}
    old = [version for version in versions[KEPT:] if version not in linked]
    for version in old:
        (host.releases / version).rename(host.releases / f"{UNFINISHED}old-{version}")
    _remove_unfinished(host)
    return old


def _remove_unfinished(host: Host) -> None:
    """Remove what interrupted commands have left."""
    for folder in (*host.releases.glob(f"{UNFINISHED}new-*"), *host.releases.glob(f"{UNFINISHED}old-*")):
        shutil.rmtree(folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; print an error on standard error and exit with status 1."""
    parser = argparse.ArgumentParser(prog="okr-release", description="Install and choose releases of okr-lakehouse.")
    parser.add_argument("--root", type=Path, default=Path("/opt/okr"), help="folder of releases and links")
    parser.add_argument("--uv", type=Path, help="the program uv; default: ROOT/uv/bin/uv")
    parser.add_argument("--python", type=Path, default=Path("/usr/bin/python3.11"), help="Python of new releases")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install", help="install a release").add_argument("wheel", type=Path)
    used = commands.add_parser("use", help="point links at an installed release")
    used.add_argument("version")
    used.add_argument("links", nargs="+", metavar="link", help=", ".join(LINKS))
    commands.add_parser("list", help="list the installed releases, with their links")
    given = parser.parse_args(arguments)
    os.umask(0o022)  # services run as other users
    host = Host(given.root, given.uv or given.root / "uv" / "bin" / "uv", given.python)
    try:
        if given.command == "install":
            said = install(host, given.wheel)
        elif given.command == "use":
            said = use(host, given.version, given.links)
        else:
            said = listing(host)
    except ReleaseError as error:
        sys.exit(f"okr-release: {error}")
    sys.stdout.write(f"{said}\n")


if __name__ == "__main__":
    main()
