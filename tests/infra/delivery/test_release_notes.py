import subprocess
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[3] / ".ci" / "release-notes"
CHANGELOG = """# Changelog

## Unreleased

- not yet

## 1.10.0 - 2026-11-30

### Added
- ten
```
## 1.1.0 - in an example
```
- eleven

## [1.1.0] - 2026-11-01

- one

## 1.0.0

"""


def notes(folder: Path, version: str, text: str = CHANGELOG) -> "subprocess.CompletedProcess[str]":
    file = folder / "CHANGELOG.md"
    file.write_text(text, encoding="utf-8")
    return subprocess.run([PROGRAM, version, file], capture_output=True, text=True, check=False)


def test_a_version_gets_its_own_section(tmp_path):
    done = notes(tmp_path, "1.10.0")
    assert (done.returncode, done.stdout) == (
        0, "### Added\n- ten\n```\n## 1.1.0 - in an example\n```\n- eleven\n",
    )  # fmt: skip
    assert notes(tmp_path, "1.1.0").stdout == "- one\n"


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("1.1", "found 0"),
        ("1x1.0", "found 0"),
        ("2.0.0", "Expected one section '## 2.0.0 - <date>' in the changelog, found 0."),
        # An empty section published a release with an empty body: https://github.com/fabio-rovai/open-ontologies/pull/73
        ("1.0.0", "The section of 1.0.0 in the changelog is empty."),
    ],
)
def test_a_version_without_notes_is_an_error(tmp_path, version, message):
    done = notes(tmp_path, version)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stdout == ""


def test_two_sections_of_a_version_are_an_error(tmp_path):
    # The first of two was taken, and it was empty: https://github.com/DialmasterOrg/Youtarr/issues/811
    done = notes(tmp_path, "1.1.0", f"{CHANGELOG}\n## [v1.1.0](https://example.org) - 2026-11-01\n\n- again\n")
    assert "found 2" in done.stderr
