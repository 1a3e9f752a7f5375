"""Wheels of this project for a server, built from the working tree."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this working tree, as `make release` does."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("okr_lakehouse-*.whl"))


def as_version(wheel: Path, version: str, folder: Path) -> Path:
    """Return a copy of a wheel that has another version."""
    name, old, *tags = wheel.name.split("-")
    copy = folder / "-".join([name, version, *tags])
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.namelist():
            content = source.read(entry)
            if entry.endswith(".dist-info/METADATA"):
                content = content.replace(f"\nVersion: {old}\n".encode(), f"\nVersion: {version}\n".encode(), 1)
            if entry.endswith(".dist-info/RECORD"):
                content = content.replace(f"{name}-{old}.".encode(), f"{name}-{version}.".encode())
            target.writestr(entry.replace(f"{name}-{old}.", f"{name}-{version}.", 1), content)
    return copy
