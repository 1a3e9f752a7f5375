"""`.ci/build` in a clone: what it builds, and which version it takes for a new release."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def git(clone: Path, *words: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    return subprocess.check_output(["git", "-C", str(clone), *identity, *words], text=True)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of what is committed, with the files of this folder's working tree and its environment."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--shared", ROOT, clone], check=True)
    for name in subprocess.check_output(["git", "-C", ROOT, "ls-files", "-m", "-z"], text=True).split("\0")[:-1]:
        (clone / name).write_bytes((ROOT / name).read_bytes())
    (clone / ".venv").symlink_to(ROOT / ".venv")
    # Install the tool here, because its program would keep the path of the clone.
    (tmp_path / "small" / "requirements").mkdir(parents=True)
    (tmp_path / "small" / "requirements" / "a.txt").write_text(f"jinja2==2.4.1 \\\n    --hash=sha256:{'0' * 64}\n")
    subprocess.run([sys.executable, ROOT / ".ci" / "scan", "--root", tmp_path / "small", "sbom"], check=True)
    for file in (*(clone / "requirements").iterdir(), clone / "pyproject.toml"):
        os.utime(file, (0, 0))  # `make` must not install anything again
    for tag in git(clone, "tag", "--list", "v*").split():
        git(clone, "tag", "--delete", tag)
    return clone


def build(clone: Path, path: str = "") -> tuple[dict[str, str], str]:
    """Return the outputs for the workflow, and what was printed. `path` has programs that replace others."""
    outputs = clone.with_name("outputs")
    outputs.write_text("")
    variables = {"GITHUB_OUTPUT": str(outputs), "PATH": f"{path}:{os.environ['PATH']}"}
    done = subprocess.run(
        [clone / ".ci" / "build"], env=os.environ | variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(line.split("=") for line in outputs.read_text().splitlines()), done.stdout + done.stderr


def name_version(clone: Path) -> str:
    """Give the changelog a section for the current version, and return the version."""
    version = tomllib.loads((clone / "pyproject.toml").read_text())["project"]["version"]
    changelog = clone / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace("## Unreleased", f"## {version} - 2026-11-30", 1))
    return version


@pytest.mark.timeout(900)
def test_a_build_is_complete_and_can_be_repeated(clone: Path) -> None:
    version = name_version(clone)
    assert build(clone)[0] == {"version": version, "release": "true"}
    dist, wheel = clone / "dist", f"okr_lakehouse-{version}-py3-none-any.whl"
    sums = (dist / "SHA256SUMS").read_text()
    assert {wheel, "RELEASE_NOTES.md", "sbom/server.cdx.json"} <= {line.split()[1] for line in sums.splitlines()}
    subprocess.run(["sha256sum", "--quiet", "--check", "SHA256SUMS"], cwd=dist, check=True)
    with zipfile.ZipFile(dist / wheel) as archive:
        assert "infra/server/requirements.txt" in archive.namelist()
        assert not [name for name in archive.namelist() if name.startswith((".", "tests/"))]
    # The same commit gives the same bytes, so that others can check the attestation by building.
    first = (dist / wheel).read_bytes()
    (dist / wheel).unlink()
    (clone / "README.md").touch()
    epoch = git(clone, "log", "-1", "--format=%ct").strip()
    subprocess.run(["make", "release"], cwd=clone, env=os.environ | {"SOURCE_DATE_EPOCH": epoch}, check=True)
    assert (dist / wheel).read_bytes() == first


def test_only_a_version_with_notes_and_without_a_tag_is_a_release(clone: Path, tmp_path: Path) -> None:
    make = tmp_path / "bin" / "make"  # what it builds does not matter here
    make.parent.mkdir()
    make.write_text("#!/bin/sh\nmkdir -p dist && echo wheel >dist/wheel\n")
    make.chmod(0o755)
    outputs, said = build(clone, str(make.parent))
    assert outputs["release"] == "false"
    assert "Expected one section" in said
    version = name_version(clone)
    assert build(clone, str(make.parent))[0]["release"] == "true"
    git(clone, "tag", f"v{version}")
    outputs, said = build(clone, str(make.parent))
    assert outputs["release"] == "false"
    assert f"{version} was released already" in said
