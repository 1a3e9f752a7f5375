"""Warnings about a check-in that is accepted."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from serving.check_ins.check_in_warnings import warnings
from serving.check_ins.outcome_effect import Sent
from serving.suggestions import similar_names

KNOWN: dict[str, Any] = {
    "baseline": 100.0, "target": 80.0, "unit": "days", "status": "on_track", "cycle_start": date(2026, 10, 1),
    "cycle_end": date(2026, 12, 31), "final_at": None, "cycle_closed_at": None, "archived_at": None,
    "deciding_id": "a", "other_id": "a", "other_at": datetime(2026, 10, 30, tzinfo=UTC), "is_other_closing": True,
}  # fmt: skip
NOW = datetime(2026, 11, 20, tzinfo=UTC)


def codes(value: float, *, is_final: bool = False, **known: Any) -> list[str]:
    found = warnings(value, Sent("n", NOW, is_final), known={**KNOWN, **known}, key_result_id="k")
    return [each.code for each in found]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(100.0, []), (80.0, []), (60.0, []), (120.0, []), (59.9, ["implausible_value"]), (121.0, ["implausible_value"])],
)
def test_an_implausible_value_of_a_falling_metric_is_warned_about_in_both_directions(
    value: float, expected: list[str]
) -> None:
    assert codes(value) == expected


@pytest.mark.parametrize(
    ("status", "is_final", "expected"),
    [
        ("awaiting_close", False, ["cycle_is_over"]), ("awaiting_close", True, []),
        ("not_started", False, ["cycle_not_started"]), ("archived", False, ["archived"]),
        ("achieved", False, ["closed"]), ("missed", True, ["closes_again"]), ("no_cycle", False, []),
    ],
)  # fmt: skip
def test_a_warning_names_the_status_of_the_key_result(status: str, is_final: bool, expected: list[str]) -> None:
    found = codes(90.0, is_final=is_final, status=status, final_at=datetime(2026, 11, 1, tzinfo=UTC))
    assert found == expected


@pytest.mark.parametrize(("sent", "expected"), [("n", ["closes_cycle", "closes_again"]), ("a", ["closes_again"])])
def test_a_correction_of_a_closing_check_in_is_not_warned_about_another_cycle(sent: str, expected: list[str]) -> None:
    """A correction of the previous cycle's closing check-in was said to close the next cycle."""
    carried = {"closes_cycle": "Q4", "other_cycle": "Q3", "closes_before": False, "deciding_id": "a", "other_id": None}
    known = {**KNOWN, "status": "missed", "final_at": NOW, **carried}
    found = warnings(90.0, Sent(sent, NOW, is_final=True), known=known, key_result_id="k")
    assert [each.code for each in found] == expected


def test_a_correction_that_is_not_closing_is_not_called_a_closing_one() -> None:
    shut = {"status": "achieved", "final_at": NOW, "cycle_closed_at": NOW, "deciding_id": "n", "other_id": None}
    before = Sent("n", NOW - timedelta(days=5), is_final=False)
    (warning,) = warnings(90.0, before, known={**KNOWN, **shut}, key_result_id="k")
    assert warning.code == "closes_again"
    assert "closing" not in warning.detail
    assert "its final value becomes 90 days" in warning.detail


def test_a_value_of_an_unpublished_key_result_is_compared_with_its_definition() -> None:
    defined = {"baseline": 0.0, "target": 10.0, "unit": ""}
    (warning,) = warnings(-45.0, Sent("n", NOW, is_final=False), known=defined, key_result_id="k")
    assert warning.detail.startswith(
        "-45 is -450% of the way from the baseline 0 to the target 10. The value was recorded as sent"
    )


@pytest.mark.parametrize(
    ("wanted", "known", "expected"),
    [
        ("2026-Q4", ["2025-Q4", "2026-Q3", "Payments"], ["2026-Q3", "2025-Q4"]),
        ("PAYMENTS", ["Payments", "Billing"], ["Payments"]),
        ("pay", ["Payments", "Billing"], ["Payments"]),
        ("zz", ["b", "a"], []),
        ("Payments", ["Platform", "Analytics", "a", "Pay"], ["Pay"]),
        ("zz", [], []),
        ("x" * 128, ["y"] * 10_000, []),
    ],
)
def test_the_most_similar_names_are_suggested(wanted: str, known: list[str], expected: list[str]) -> None:
    assert sorted(similar_names(wanted, known)) == sorted(expected)
