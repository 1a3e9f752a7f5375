"""A secret that is about to be committed, or was committed, is refused: by the hook of git, and by `make scan`."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# Put together, so that the scan of this repository does not find it.
TOKEN = "ghp_" + "016C7kAuP3x9Zq2LmNvB8RtYwE4sHdJfKoVi"


@pytest.fixture(scope="module")
def pre_commit() -> Path:
    """The program, in the environment that `make hooks` uses."""
    subprocess.run([".ci/peer", "pre-commit", "pre-commit==4.7.0"], cwd=ROOT, check=True)
    return ROOT / ".venv" / "pre-commit" / "bin" / "pre-commit"


@pytest.fixture
def repository(tmp_path: Path, pre_commit: Path) -> Path:
    """A repository with the hooks of this one, and one commit."""
    clone = tmp_path / "clone"
    clone.mkdir()
    shutil.copytree(ROOT / ".ci", clone / ".ci")
    for name in (".pre-commit-config.yaml", ".gitleaksignore", ".gitignore", "pyproject.toml", ".importlinter"):
        shutil.copy(ROOT / name, clone)
    (clone / ".venv").symlink_to(ROOT / ".venv")
    git(clone, "init", "--quiet")
    subprocess.run([pre_commit, "install"], cwd=clone, check=True, capture_output=True)
    git(clone, "add", "pyproject.toml", ".pre-commit-config.yaml")
    git(clone, "commit", "--no-verify", "-m", "one")
    return clone


def git(folder: Path, *words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", "-C", str(folder), *identity, *words], env=environment, check=check, capture_output=True, text=True
    )


def scan(root: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    program = [ROOT / ".venv" / "bin" / "python", ROOT / ".ci" / "scan", "--root", root]
    return subprocess.run([*program, *arguments], capture_output=True, text=True, check=False)


def test_a_secret_is_refused_before_and_after_the_commit(repository):
    file = repository / "client.toml"
    file.write_text(f'token = "{TOKEN}"\n')
    git(repository, "add", "client.toml")
    # The staged content counts, not that of the folder: https://github.com/gitleaks/gitleaks/issues/585
    file.write_text('token = ""\n')
    refused = git(repository, "commit", "-m", "two", check=False)
    assert refused.returncode == 1
    assert "staged: FAILED" in refused.stdout + refused.stderr
    assert TOKEN not in refused.stdout + refused.stderr
    assert git(repository, "rev-list", "--count", "HEAD").stdout == "1\n"
    # Somebody goes around the hook: the scan of the history finds it.
    git(repository, "commit", "--no-verify", "-m", "two")
    failed = scan(repository, "--delivery", "secrets")
    assert failed.returncode == 1
    assert "client.toml" in failed.stdout
    assert "docs/runbooks/secret-in-history.md" in failed.stdout
    assert TOKEN not in failed.stdout


def test_a_commit_without_a_secret_passes(repository):
    (repository / "page.py").write_text("NAME = 1\n")
    git(repository, "add", "page.py")
    done = git(repository, "commit", "-m", "two")
    results = re.findall(r"^(.*?)\.{2,}(?:\(.*\))?(\w+)$", done.stdout + done.stderr, re.MULTILINE)
    assert dict(results) == {
        "no secrets in the staged changes (gitleaks)": "Passed",
        "format (ruff)": "Passed",
        "lint (ruff)": "Passed",
        "architecture rules (import-linter)": "Passed",
        "workflows (actionlint, zizmor)": "Skipped",
    }


@pytest.mark.parametrize(
    "setting", ["color.diff=always", "color.ui=always", "diff.noprefix=true", "diff.external=/bin/true"]
)
def test_settings_of_the_user_do_not_hide_a_secret(repository, setting):
    # gitleaks reads what git prints. With colours in it, it found nothing and passed.
    # Compare https://github.com/gitleaks/gitleaks/issues/2281
    git(repository, "config", *setting.split("="))
    (repository / "client.toml").write_text(f'token = "{TOKEN}"\n')
    git(repository, "add", "client.toml")
    assert scan(repository, "staged").returncode == 1
    git(repository, "commit", "--no-verify", "-m", "two")
    assert scan(repository, "secrets").returncode == 1


@pytest.mark.parametrize("attribute", ["-diff", "binary"])
def test_a_file_that_git_does_not_show_is_refused(repository, attribute):
    (repository / ".gitattributes").write_text(f"*.toml {attribute}\n")
    git(repository, "add", ".gitattributes")
    failed = scan(repository, "staged")
    assert failed.returncode == 1
    assert "An attribute (-diff, binary) hides pyproject.toml from the scan" in failed.stdout


def test_a_clone_without_its_history_is_not_passed(repository, tmp_path):
    # With --depth 1, gitleaks found nothing and passed: https://github.com/gitleaks/gitleaks/issues/406
    (repository / "client.toml").write_text(f'token = "{TOKEN}"\n')
    for change in ("add client.toml", "commit --no-verify -m two", "rm -q client.toml", "commit --no-verify -m three"):
        git(repository, *change.split())
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{repository}", tmp_path / "s"], check=True)
    done = scan(tmp_path / "s", "--delivery", "secrets")
    assert done.returncode == 1
    assert "secrets: NOT CHECKED: this clone does not have the whole history" in done.stdout
