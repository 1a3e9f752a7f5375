import os
import subprocess
from pathlib import Path

PROGRAM = Path(__file__).parents[3] / ".ci" / "publish"


def publish(folder: Path) -> "subprocess.CompletedProcess[str]":
    gh = folder / "bin" / "gh"
    gh.parent.mkdir(exist_ok=True)
    gh.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >"$(dirname "$0")/calls"\n')
    gh.chmod(0o755)
    variables = {"PATH": f"{gh.parent}:{os.environ['PATH']}", "VERSION": "2.0.0", "GITHUB_SHA": "abc", "GH_TOKEN": "t"}
    return subprocess.run([PROGRAM, folder / "dist"], env=variables, capture_output=True, text=True, check=False)


def build(folder: Path) -> Path:
    dist = folder / "dist"
    (dist / "sbom").mkdir(parents=True)
    for name in ("okr_lakehouse-2.0.0-py3-none-any.whl", "RELEASE_NOTES.md", "sbom/server.cdx.json"):
        (dist / name).write_text(name)
    files = sorted(str(file.relative_to(dist)) for file in dist.rglob("*") if file.is_file())
    sums = subprocess.check_output(["sha256sum", *files], cwd=dist, text=True)
    (dist / "SHA256SUMS").write_text(sums)
    return dist


def test_a_release_has_the_files_of_the_build_and_its_notes(tmp_path):
    dist = build(tmp_path)
    done = publish(tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "bin" / "calls").read_text().splitlines() == [
        "release", "create", "v2.0.0", "--target", "abc", "--title", "okr-lakehouse 2.0.0",
        "--notes-file", f"{dist}/RELEASE_NOTES.md", f"{dist}/okr_lakehouse-2.0.0-py3-none-any.whl",
        f"{dist}/sbom/server.cdx.json", f"{dist}/SHA256SUMS",
    ]  # fmt: skip


def test_files_that_were_changed_after_the_build_are_not_published(tmp_path):
    (build(tmp_path) / "okr_lakehouse-2.0.0-py3-none-any.whl").write_text("changed")
    assert publish(tmp_path).returncode != 0
    assert not (tmp_path / "bin" / "calls").exists()
