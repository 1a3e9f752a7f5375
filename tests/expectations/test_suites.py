"""Conventions of the suites: the parts of a rule, and which module may import Great Expectations."""

import re
from pathlib import Path

import pytest

from expectations import marts_gate, published_check
from expectations.gate_decision import RuleResult
from expectations.gx_runner import example
from expectations.rules import Suite, sql_rules
from lakehouse.errors import PermanentError

PACKAGE = Path(marts_gate.__file__).parent
DAILY = tuple(
    Suite(name, table, sql_rules(name), rows_at_least=fewest) for name, table, fewest in published_check.TABLES
)


@pytest.mark.parametrize("suite", [*marts_gate.suites(), *DAILY], ids=lambda suite: suite.name)
def test_a_broken_rule_is_reported_in_one_sentence(suite: Suite) -> None:
    # Planted faults test that the rules detect them: test_marts_gate, test_published_check.
    assert suite.rules, suite.name
    for rule in suite.all_rules():
        line = str(RuleResult(rule.name, rule.says, passed=False, unexpected=3))
        assert re.fullmatch(r"\w+: expected that [^\n{}]*\w[^\s.;:,]?; 3 rows fail", line), line


def test_every_sql_file_is_a_suite() -> None:
    read = {suite.name for suite in (*marts_gate.suites(), *DAILY)}
    assert {file.stem for file in (PACKAGE / "suites").glob("*.sql")} == read


def test_only_the_runner_imports_great_expectations() -> None:
    importing = re.compile(r"^\s*(import|from) great_expectations", re.MULTILINE)
    files = [file for file in PACKAGE.rglob("*.py") if importing.search(file.read_text(encoding="utf-8"))]
    assert [file.name for file in files] == ["gx_runner.py"]


def test_a_query_without_a_sentence_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("expectations.rules.read_sql", lambda *_: "-- name: nameless\nSELECT 1 FROM {batch}\n")
    with pytest.raises(PermanentError, match="-- expect:"):
        sql_rules("broken")


def test_a_failing_row_is_shown_without_exponents() -> None:
    row = {"check_in_id": "c", "value": -1e16, "progress_ratio": 101.5, "gain": 1e-7}
    text = "check_in_id=c, value=-10,000,000,000,000,000, progress_ratio=101.5, gain=0.0000001"
    assert (example(row), example(1e16)) == (text, "10,000,000,000,000,000")
