"""The commands of the README exist, and links in the documentation point to files."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("target", sorted(set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE)) - {"test"}))
def test_every_make_target_of_the_readme_exists(target):
    answer = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("command", sorted(set(re.findall(r"okr ([a-z]+(?: [a-z]+)?)(?=[ `\")])", README))))
def test_every_okr_command_of_the_readme_exists(command):
    okr = Path(sys.executable).with_name("okr")
    words = command.split()
    answers = [
        subprocess.run([okr, *words[:count], "--help"], capture_output=True, text=True, check=False).returncode
        for count in range(1, len(words) + 1)
    ]
    group = subprocess.run([okr, words[0], "--help"], capture_output=True, text=True, check=False).stdout
    assert answers[-1] == 0 or (answers[0] == 0 and "Commands" not in group), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_points_to_a_file(page):
    for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), f"{page}: {link}"


def test_every_file_named_by_the_data_path_exists():
    table = (ROOT / "docs" / "data-path.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:lakehouse|serving|ingestion|expectations|ml|dbt_project|tests)/[^`*]+)`", table)
    assert len(paths) > 40, "Too few files were found: this test misreads the table."
    for path in paths:
        assert (ROOT / path).exists(), path


def test_every_function_named_by_the_data_path_exists():
    table = (ROOT / "docs" / "data-path.md").read_text(encoding="utf-8")
    checked = 0
    for row in [line.split("|") for line in table.splitlines() if line.startswith("|")][2:]:
        file, names = row[2], re.findall(r"`([A-Za-z_]+)[.`]", row[3])
        sources = re.findall(r"`([a-z_/]+\.py)`", file)
        code = "".join(each.read_text() for source in sources for each in (ROOT / source).parent.glob("*.py"))
        checked += bool(names and sources)
        for name in names if sources else ():
            assert re.search(rf"(def|class) {name}\b", code), f"{file}: {name}"
    assert checked > 15, "Too few functions were found: this test misreads the table."


@pytest.mark.parametrize("page", ["glossary.md", "architecture.md"])
def test_every_path_in_the_glossary_and_the_architecture_exists(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    packages = "lakehouse|serving|ingestion|expectations|ml|dags|dbt_project|infra|tests"
    paths = re.findall(rf"`((?:{packages})/[a-z0-9_./*]*)`", text)
    assert len(paths) > 10, "Too few paths were found: this test misreads the page."
    assert [path for path in paths if not list(ROOT.glob(path))] == []


def test_every_control_named_by_the_threat_model_exists():
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:lakehouse|serving|ingestion|infra|ml|tests|\.ci|requirements)(?:/[^`*]+)?)`", text)
    assert len(paths) > 30, "Too few files were found: this test misreads the page."
    for path in paths:
        assert (ROOT / path).exists(), path
