"""What the images contain, and what they do not."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

from infra.local.executables import ROOT
from tests.figures import report
from tests.ops.containers.conftest import PLANTED
from tests.ops.containers.podman import Podman

FORBIDDEN = ("gcc", "cc", "g++", "make", "pip", "pip3", "pip3.11", "git", "curl")
SITE_PACKAGES = "/opt/okr/lib/python3.11/site-packages/"
# A program of each role, which imports what the role needs. Two images are built; the packages of the other two are
# installed on this host, which takes a fraction of the time.
BUILT = {"api": ["okr", "serve", "--help"], "worker": ["okr", "consume", "land", "--help"]}
INSTALLED = {"airflow": ("airflow", ["airflow", "version"]), "mlflow": ("tracking", ["mlflow", "--version"])}
REMOVED = re.compile(r"/site-packages/(numpy|pandas|pyarrow|scipy|sklearn)/(.*/)?(tests|include)/")  # by the Dockerfile


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


def test_the_program_of_each_role_starts(
    podman: Podman, build: Callable[[str], str], source: Path, tmp_path: Path
) -> None:
    rows = []
    for role, command in BUILT.items():
        image = build(role)
        run = ["run", "--rm", "--network=none", "--read-only", "--tmpfs=/tmp", "--no-healthcheck", image]
        podman.output(*run, *command)
        listed = podman.output(*run, "du", "--summarize", "--block-size=1", "/opt/okr")
        packages, whole = int(listed.split()[0]), int(podman.output("image", "inspect", "--format={{.Size}}", image))
        assert 0 < packages < whole
        rows.append((role, f"{whole / 1e6:,.0f}", f"{packages / 1e6:,.0f}"))
    base = whole - packages
    for role, (lock, command) in INSTALLED.items():
        packages = bytes_of(install(lock, tmp_path / role, command))
        subprocess.run(["rm", "-rf", tmp_path / role], check=True)
        rows.append((role, f"{(base + packages) / 1e6:,.0f}", f"{packages / 1e6:,.0f}"))
    (wheel,) = (source / "dist").glob("okr_lakehouse-*.whl")
    report(
        "Sizes of the images",
        ("role", "image, MB", "of this its packages, MB"),
        rows,
        f"Unpacked, without bytecode, on a base of Debian's packages. {' and '.join(BUILT)} were built; the others are "
        f"the sum of the base and their packages. The project's wheel has {wheel.stat().st_size / 1e6:.1f} MB.",
    )


def test_the_health_check_of_a_worker_is_false_without_progress(podman: Podman, build: Callable[[str], str]) -> None:
    image = build("worker")
    inspected = json.loads(podman.output("image", "inspect", image))[0]
    check = (inspected.get("Healthcheck") or inspected["HealthCheck"])["Test"]
    assert check[0] == "CMD"
    run = ["run", "--rm", "--network=none", "--read-only", "--tmpfs=/tmp", "--no-healthcheck", image, "sh", "-c"]
    for minutes, status in ((14, 0), (16, 1)):
        script = f"echo 1 > $OKR_READY_FILE; touch -d '{minutes} minutes ago' $OKR_READY_FILE; {shlex.join(check[1:])}"
        assert podman.run(*run, script, check=False).returncode == status, minutes
    assert podman.run(*run, shlex.join(check[1:]), check=False).returncode == 1  # it is not ready yet


def install(lock: str, folder: Path, command: list[str]) -> Path:
    """Install a lock into an environment, run a program of it, and return its folder."""
    uv = [".ci/clean-env", ".venv/bin/uv", "--quiet"]
    environment = ["--python", str(folder / "bin" / "python")]
    for arguments in (
        ["venv", "--python", "python3.11", str(folder)],
        ["pip", "sync", *environment, "--require-hashes", f"requirements/{lock}.txt"],
    ):
        subprocess.run([*uv, *arguments], cwd=ROOT, check=True, timeout=300)
    home = {"HOME": str(folder), "AIRFLOW_HOME": str(folder / "home"), "PATH": os.environ["PATH"]}
    subprocess.run([folder / "bin" / command[0], *command[1:]], env=home, check=True, capture_output=True, timeout=120)
    return folder


def bytes_of(folder: Path) -> int:
    """Return the size of an environment without what the Dockerfile removes and without bytecode."""
    files = [file for file in folder.rglob("*") if file.is_file() and not file.is_symlink()]
    counted = [file for file in files if not REMOVED.search(str(file)) and file.suffix != ".pyc"]
    return sum(file.stat().st_blocks * 512 for file in counted)
