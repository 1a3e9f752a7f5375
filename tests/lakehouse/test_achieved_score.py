"""The score from which a key result counts as achieved is defined once."""

import re
from pathlib import Path

import yaml

from lakehouse.achieved_score import ACHIEVED_SCORE, TOLERANCE

ROOT = Path(__file__).parents[2]
# A score or pace that is compared with 0.7, in code or in a text for readers; 0.7 alone may be any parameter.
ACHIEVED_COMPARISON = re.compile(r"(>=?|at least|score of|from) *0\.7\b|\b0\.7 *- *1e-9", re.IGNORECASE)


def _code_lines(path: Path) -> list[str]:
    """Return the lines of a file without comments and docstrings."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        text = re.sub(r'"""(?:(?!\{).)*?"""', "", text, flags=re.DOTALL)
    text = re.sub(r"\{#.*?#\}", "", text, flags=re.DOTALL)
    return [re.sub(r"(?<!\S)(#|--).*", "", line) for line in text.splitlines()]


def test_dbt_uses_the_achieved_score_and_tolerance_of_the_scoring_module() -> None:
    variables = yaml.safe_load((ROOT / "dbt_project" / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
    assert (variables["achieved_score"], variables["score_tolerance"]) == (ACHIEVED_SCORE, TOLERANCE)


def test_no_code_repeats_the_achieved_score_as_a_literal() -> None:
    written = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("dbt_project", "expectations", "ingestion/state", "serving", "ml", "dags")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".sql", ".py", ".yml"} and path.name != "dbt_project.yml"
        for line in _code_lines(path)
        if ACHIEVED_COMPARISON.search(line)
    ]
    assert not written, f"Use ACHIEVED_SCORE of lakehouse/achieved_score.py, or dbt's var('achieved_score'): {written}"
