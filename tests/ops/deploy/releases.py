"""Releases as on a server, but small: a virtual environment that adds this clone's packages, and our files."""

import json
import os
import shutil
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGES = (
    "dags",
    "dbt_project",
    "expectations",
    "infra",
    "ingestion",
    "lakehouse",
    "ml",
    "serving",
)
LANDING = ["okr-land@1", "okr-land@2", "okr-land@3"]
SMALL_API = Path(__file__).with_name("small_api.py")
SMALL_OKR = f"""#!/bin/sh
here=$(cd -P -- "${{0%/*}}" && pwd)
exec "$here/python" -I {SMALL_API} "$here/../../behaviour.json" "$@"
"""
Change = Callable[[Path], None]


def install(root: Path, version: str, change: Change | None = None, source: Path = ROOT) -> Path:
    """Make a release of this clone or another `source`.

    `change` gets its folder with copies of our packages, to plant a fault.
    """
    release, files = _with_environment(root, version)
    files.mkdir()
    for package in PACKAGES:
        if change is None:
            (files / package).symlink_to(source / package)
        else:
            shutil.copytree(source / package, files / package, ignore=shutil.ignore_patterns("__pycache__", "target"))
    if change is not None:
        change(files)
    shutil.copy(ROOT / "infra" / "okr", release / ".venv" / "bin" / "okr")
    return release


def install_small(root: Path, version: str, **behaviour: object) -> Path:
    """Make a release whose API is `small_api.py`, which starts in a fraction of a second, or replace it."""
    release, _ = _with_environment(root, version)
    (release / "behaviour.json").write_text(json.dumps({"version": version, **behaviour}), encoding="utf-8")
    okr = release / ".venv" / "bin" / "okr"
    okr.write_text(SMALL_OKR, encoding="utf-8")
    okr.chmod(0o755)
    return release


def _with_environment(root: Path, version: str) -> tuple[Path, Path]:
    """Make a virtual environment that finds the release's files first, then the packages of this clone's one."""
    release = root / "releases" / version
    files, packages = (
        release / "files",
        release / ".venv" / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}",
    )
    shutil.rmtree(release, ignore_errors=True)
    (release / ".venv" / "bin").mkdir(parents=True)
    python = Path(sys.executable).resolve()
    (release / ".venv" / "bin" / "python").symlink_to(python)
    (release / ".venv" / "pyvenv.cfg").write_text(f"home = {python.parent}\n", encoding="utf-8")
    (packages / "site-packages").mkdir(parents=True)
    added = f"{files}\n{sysconfig.get_path('purelib')}\n"
    (packages / "site-packages" / "release.pth").write_text(added, encoding="utf-8")
    return release, files


def commands(root: Path, sockets: Path) -> dict[str, list[str]]:
    """Return the commands of the units, as the units of systemd have them."""

    def okr(link: str) -> str:
        return os.fspath(root / link / ".venv" / "bin" / "okr")

    apis = {
        f"okr-api@{colour}": [okr(colour), "serve", "--uds", os.fspath(sockets / f"{colour}.sock")]
        for colour in ("blue", "green")
    }
    landing = {unit: [okr("current"), "consume", "land"] for unit in LANDING}
    return {**apis, **landing, "okr-state": [okr("current"), "consume", "state"]}
