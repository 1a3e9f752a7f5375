"""The counts of failing rows equal those of Great Expectations; suites that cannot be counted run rule by rule."""

from typing import Any

import pandas as pd
import pytest

from expectations import failing_row_counts, gx_runner
from expectations.gate_decision import GateReport, SuiteResult
from expectations.rules import Rule, Suite

LOW, HIGH = 0.0, 1.0
NULL = Rule("is_null", "nothing is missing", "expect_column_values_to_be_null", {"column": "missing"})
SHARE = Rule(
    "is_share", "a share is 0-1", "expect_column_values_to_be_between",
    {"column": "share", "min_value": LOW, "max_value": HIGH, "mostly": 0.5}, acceptable=True,
)  # fmt: skip
UNIQUE = Rule("is_unique", "a share is unique", "expect_column_values_to_be_unique", {"column": "share"})
ROWS: dict[str, tuple[list[Any], list[Any]]] = {
    "none at fault": ([0.0, 0.5, 1.0], [None] * 3),
    "nulls ask nothing": ([None, None, 1.0], [None] * 3),
    "one below": ([-0.1, 0.5, 1.0], [None] * 3),
    "one above": ([0.1, 0.5, 1.1], [None] * 3),
    "one not a number": ([0.1, float("nan"), float("inf")], [None] * 3),
    "one missing": ([0.1, 0.5, 1.0], [None, "id", None]),
    "all at fault": ([-1.0, 2.0], ["a", "b"]),
}


def suite(share: list[Any], missing: list[Any], *rules: Rule, name: str = "row") -> Suite:
    return Suite(name, "rows", rules or (NULL, SHARE), frame=pd.DataFrame({"share": share, "missing": missing}))


def validated_whole(asked: Suite, monkeypatch: pytest.MonkeyPatch) -> GateReport:
    with monkeypatch.context() as without_counts:
        without_counts.setattr(gx_runner, "count", lambda *_, **__: ())
        return gx_runner.validate("raw", "run", [asked])


@pytest.mark.parametrize("rows", ROWS)
def test_a_report_is_the_same_from_counts_and_rule_by_rule(rows: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = suite(*ROWS[rows])
    counted, whole = gx_runner.validate("raw", "run", [asked]), validated_whole(asked, monkeypatch)
    assert counted.suites == whole.suites


def test_counts_equal_those_of_great_expectations(monkeypatch: pytest.MonkeyPatch) -> None:
    for share, missing in ROWS.values():
        asked = suite(share, missing)
        (found,) = failing_row_counts.count([asked], dsn=None, limits=gx_runner.LIMITS)
        _, *whole = validated_whole(asked, monkeypatch).suites[0].rules
        assert list(found.failing) == [rule.unexpected for rule in whole]


def test_only_suites_with_a_failing_row_run_rule_by_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, validate_suite = [], gx_runner._validate_suite

    def noted(*given: Any) -> SuiteResult:
        whole.append(given[-1].name)
        return validate_suite(*given)

    monkeypatch.setattr(gx_runner, "_validate_suite", noted)
    good, bad = (suite(*ROWS[rows], name=rows) for rows in ("none at fault", "all at fault"))
    report = gx_runner.validate("raw", "run", [good, bad])
    assert whole == ["all at fault"]
    assert [(each.name, each.rows) for each in report.suites] == [("none at fault", 3), ("all at fault", 2)]
    assert not report.passed


def test_missing_rows_count_as_failing_rows() -> None:
    report = gx_runner.validate("raw", "run", [Suite("row", "rows", (NULL,), 4, pd.DataFrame({"missing": [None] * 3}))])
    assert [rule.name for _, rule in report.broken()] == ["has_rows"]


def test_a_suite_that_cannot_be_counted_runs_rule_by_rule() -> None:
    twice = suite([0.5, 0.5], [None] * 2, UNIQUE)
    text = suite(["half"], [None], SHARE)
    nowhere = suite([0.5], [None], Rule("is_null", "x", NULL.type, {"column": "nowhere"}))
    assert failing_row_counts.count([twice, text, nowhere], dsn=None, limits=gx_runner.LIMITS) == ()
    for asked in (twice, text, nowhere):
        assert not gx_runner.validate("raw", "run", [asked]).passed


def test_suites_run_rule_by_rule_if_validating_the_counts_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gx_runner, "NO_FAILING_ROW", Rule("none", "none", "expect_column_values_to_be_between", {}))
    report = gx_runner.validate("raw", "run", [suite(*ROWS["none at fault"])])
    assert report.passed, report.summary()
