"""`.ci/build` in a clone: what it builds, and which version it takes for a new release."""

import os
import subprocess
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
    for file in (*(clone / "requirements").iterdir(), clone / "pyproject.toml"):
        os.utime(file, (0, 0))  # `make` must not install anything again
    for tag in git(clone, "tag", "--list", "v*").split():
        git(clone, "tag", "--delete", tag)
    return clone


def build(clone: Path) -> tuple[dict[str, str], str]:
    """Return the outputs for the workflow, and what was printed."""
    outputs = clone.with_name("outputs")
    outputs.write_text("")
    done = subprocess.run(
        [clone / ".ci" / "build"], env=os.environ | {"GITHUB_OUTPUT": str(outputs)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(line.split("=") for line in outputs.read_text().splitlines()), done.stdout + done.stderr


def test_a_build_is_complete_and_can_be_repeated(clone: Path) -> None:
    outputs, said = build(clone)
    version = outputs["version"]
    assert outputs["release"] == "false", "the changelog has no section for this version yet"
    assert "Expected one section" in said
    changelog = clone / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace("## Unreleased", f"## {version} - 2026-11-30", 1))
    assert build(clone)[0]["release"] == "true"
    sums = (clone / "dist" / "SHA256SUMS").read_text()
    files = {line.split()[1] for line in sums.splitlines()}
    wheel = f"okr_lakehouse-{version}-py3-none-any.whl"
    assert {wheel, "RELEASE_NOTES.md", "sbom/server.cdx.json"} <= files
    subprocess.run(["sha256sum", "--quiet", "--check", "SHA256SUMS"], cwd=clone / "dist", check=True)
    with zipfile.ZipFile(clone / "dist" / wheel) as archive:
        assert "infra/server/requirements.txt" in archive.namelist()
        assert not [name for name in archive.namelist() if name.startswith((".", "tests/"))]
    # The same commit gives the same bytes, so that others can check the attestation by building.
    assert build(clone)[0]["release"] == "true"
    assert (clone / "dist" / "SHA256SUMS").read_text() == sums
    git(clone, "tag", f"v{version}")
    outputs, said = build(clone)
    assert outputs["release"] == "false"
    assert f"{version} was released already" in said
