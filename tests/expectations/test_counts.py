"""The counts that a gate asks first: they are those of the tool, and what they cannot tell the tool is asked whole."""

from typing import Any

import pandas as pd
import pytest

from expectations import counts, gate
from expectations.report import GateReport, SuiteResult
from expectations.rules import Rule, Suite

LOW, HIGH = 0.0, 1.0
NULL = Rule("is_null", "nothing is missing", "expect_column_values_to_be_null", {"column": "missing"})
SHARE = Rule(
    "is_share", "a share is 0-1", "expect_column_values_to_be_between",
    {"column": "share", "min_value": LOW, "max_value": HIGH, "mostly": 0.5}, acceptable=True,
)  # fmt: skip
UNIQUE = Rule("is_unique", "a share stands once", "expect_column_values_to_be_unique", {"column": "share"})
ROWS: dict[str, tuple[list[Any], list[Any]]] = {
    "none at fault": ([0.0, 0.5, 1.0], [None] * 3),
    "nulls ask nothing": ([None, None, 1.0], [None] * 3),
    "one below": ([-0.1, 0.5, 1.0], [None] * 3),
    "one above": ([0.1, 0.5, 1.1], [None] * 3),
    "one not a number": ([0.1, float("nan"), float("inf")], [None] * 3),
    "one missing": ([0.1, 0.5, 1.0], [None, "id", None]),
    "all at fault": ([-1.0, 2.0], ["a", "b"]),
}


def suite(share: list[Any], missing: list[Any], *rules: Rule, noun: str = "row") -> Suite:
    return Suite(noun, "rows", rules or (NULL, SHARE), frame=pd.DataFrame({"share": share, "missing": missing}))


def judged_whole(asked: Suite, monkeypatch: pytest.MonkeyPatch) -> GateReport:
    with monkeypatch.context() as without_counts:
        without_counts.setattr(gate, "count", lambda *_, **__: ())
        return gate.judge("raw", "run", [asked])


@pytest.mark.parametrize("rows", ROWS)
def test_a_report_says_the_same_whether_counts_or_the_whole_suite_are_judged(
    rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = suite(*ROWS[rows])
    counted, whole = gate.judge("raw", "run", [asked]), judged_whole(asked, monkeypatch)
    assert counted.suites == whole.suites


def test_counts_are_those_of_the_tool_rule_by_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    for share, missing in ROWS.values():
        asked = suite(share, missing)
        (found,) = counts.count([asked], dsn=None, limits=gate.LIMITS)
        _, *whole = judged_whole(asked, monkeypatch).suites[0].rules
        assert list(found.at_fault) == [rule.unexpected for rule in whole]


def test_only_suites_with_a_row_at_fault_are_judged_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, judge_suite = [], gate._judge_suite

    def noted(*given: Any) -> SuiteResult:
        whole.append(given[-1].noun)
        return judge_suite(*given)

    monkeypatch.setattr(gate, "_judge_suite", noted)
    good, bad = (suite(*ROWS[rows], noun=rows) for rows in ("none at fault", "all at fault"))
    report = gate.judge("raw", "run", [good, bad])
    assert whole == ["all at fault"]
    assert [(each.noun, each.rows) for each in report.suites] == [("none at fault", 3), ("all at fault", 2)]
    assert not report.passed


def test_too_few_rows_are_rows_at_fault() -> None:
    report = gate.judge("raw", "run", [Suite("row", "rows", (NULL,), 4, pd.DataFrame({"missing": [None] * 3}))])
    assert [rule.name for _, rule in report.broken()] == ["has_rows"]


def test_what_cannot_be_counted_is_judged_whole() -> None:
    twice = suite([0.5, 0.5], [None] * 2, UNIQUE)
    text = suite(["half"], [None], SHARE)
    nowhere = suite([0.5], [None], Rule("is_null", "x", NULL.type, {"column": "nowhere"}))
    assert counts.count([twice, text, nowhere], dsn=None, limits=gate.LIMITS) == ()
    for asked in (twice, text, nowhere):
        assert not gate.judge("raw", "run", [asked]).passed


def test_a_tool_that_fails_on_the_counts_is_asked_rule_by_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "NONE_AT_FAULT", Rule("none", "none", "expect_column_values_to_be_between", {}))
    report = gate.judge("raw", "run", [suite(*ROWS["none at fault"])])
    assert report.passed, report.summary()
