"""What the images contain, and what they do not."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.figures import report
from tests.ops.containers.conftest import PLANTED
from tests.ops.containers.podman import Podman

FORBIDDEN = ("gcc", "cc", "g++", "make", "pip", "pip3", "pip3.11", "git", "curl")
SITE_PACKAGES = "/opt/okr/lib/python3.11/site-packages/"
# A program of each role, which imports what the role needs.
PROGRAMS = {
    "api": ["okr", "serve", "--help"],
    "worker": ["okr", "consume", "land", "--help"],
    "airflow": ["airflow", "version"],
    "mlflow": ["mlflow", "--version"],
}


def test_it_has_no_compiler_pip_git_or_setuid_program(podman: Podman, api_image: str) -> None:
    run = ["run", "--rm", "--network=none", "--user=0", api_image, "sh", "-c"]
    assert not podman.output(*run, f"for name in {' '.join(FORBIDDEN)}; do command -v $name; done; true")
    assert not podman.output(*run, "find / -xdev -type f -perm /6000; find / -xdev -name ensurepip")
    without_pip = podman.run(*run, "/opt/okr/bin/python -c 'import pip'", check=False)
    assert without_pip.returncode == 1
    assert "No module named 'pip'" in without_pip.stderr


def test_it_has_no_file_of_the_project_but_the_wheel(podman: Podman, api_image: str) -> None:
    listed = podman.output("run", "--rm", "--network=none", "--user=0", api_image, "find", "/", "-xdev", "-type", "f")
    files = listed.splitlines()
    planted = {Path(name).name for name in PLANTED}
    assert not [file for file in files if Path(file).name in planted or "/.git/" in file or "/tests/ops/" in file]
    own = [file for file in files if re.search(r"/(lakehouse|serving|infra|dags|dbt_project)/", file)]
    assert len(own) > 100
    assert all(file.startswith(SITE_PACKAGES) for file in own)


def test_a_base_without_a_digest_is_refused(source: Path, podman: Podman) -> None:
    for base in ("", "python:3.11-slim-bookworm", "python@sha256:short"):
        result = subprocess.run(
            ["infra/containers/build", "api"], cwd=source, env=podman.environment | {"BASE": base}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert result.returncode == 1
        assert result.stderr.startswith("build: BASE must name an image with its digest")


def test_the_program_of_each_role_starts(podman: Podman, build: Callable[[str], str], source: Path) -> None:
    rows = []
    for role, command in PROGRAMS.items():
        image = build(role)
        podman.output(
            "run", "--rm", "--network=none", "--read-only", "--tmpfs=/tmp", "--tmpfs=/var/lib/okr", image, *command
        )
        size = int(podman.output("image", "inspect", "--format={{.Size}}", image))
        packages = podman.output(
            "run", "--rm", "--network=none", image, "sh", "-c", f"ls -d {SITE_PACKAGES}*.dist-info | wc -l"
        )
        rows.append((role, f"{size / 1e6:,.0f}", packages))
    (wheel,) = (source / "dist").glob("okr_lakehouse-*.whl")
    report(
        "Sizes of the images",
        ("role", "MB", "packages"),
        rows,
        f"Unpacked, without bytecode. Each contains the project's wheel ({wheel.stat().st_size / 1e6:.1f} MB).",
    )
