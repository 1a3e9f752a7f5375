"""Noun: event, as it waits in the lake. One suite a topic, over the columns that `raw_waiting.sql` computes."""

from typing import TYPE_CHECKING, Any

from expectations.rules import Rule, Suite

if TYPE_CHECKING:
    import pandas as pd

# A rate says little about a handful of rows: below this many, rejects stop nothing.
FEWEST_FOR_A_RATE = 100
LARGEST_REJECT_RATIO = 0.05
# The contract rejects what happens later than this after the broker had it; the gate is the second wall.
FURTHEST_AHEAD_S = 600
EARLIEST_YEAR = 1990
# Real goals end below six times their gain; a hundred times is a slip of the unit or of the keyboard.
LARGEST_PROGRESS = 100.0
# One slip of one user must not stop everybody's marts: this many, and this share of a large batch, may be implausible.
SLIPS_ALLOWED = 2
SLIP_RATIO_ALLOWED = 0.001
UNKNOWN_RATIO_ALLOWED = 0.05


def suite(topic: str, frame: "pd.DataFrame") -> Suite:
    """Return the rules for one topic's waiting rows; `frame` holds `raw_waiting.sql`'s columns, one row a message."""
    rules = (*_hard(), *_plausible(frame))
    return Suite(noun=topic, table=f"the lake's waiting rows of {topic}", rules=rules, frame=frame)


def _hard() -> tuple[Rule, ...]:
    return (
        _null("is_complete", "missing", "a good event has id, type, source, subject, times and data"),
        _null("type_is_known", "unknown_type", "a good event's type is one of the contracts of its topic"),
        _between("not_from_the_future", "seconds_ahead", (None, FURTHEST_AHEAD_S),
                 f"nothing occurred more than {FURTHEST_AHEAD_S} s after the broker had it"),
        _between("not_recorded_after_logged", "recorded_ahead_s", (None, 0),
                 "nothing was recorded after its log entry"),
    )  # fmt: skip


def _plausible(frame: "pd.DataFrame") -> tuple[Rule, ...]:
    rows = len(frame)
    check_ins = int(frame["progress_ratio"].count() + frame["unknown_key_result"].count())
    unknown_allowed = min(1.0, _slips(check_ins, UNKNOWN_RATIO_ALLOWED) / rows) if rows else 1.0
    rejects_allowed = LARGEST_REJECT_RATIO if rows >= FEWEST_FOR_A_RATE else 1.0
    return (
        _null("few_rejects", "rejection_reason",
              f"at most {LARGEST_REJECT_RATIO:.0%} of {FEWEST_FOR_A_RATE} or more messages are rejected",
              rejects_allowed),
        _null("key_results_are_known", "unknown_key_result",
              f"but for {UNKNOWN_RATIO_ALLOWED:.0%}, check-ins belong to a defined key result", unknown_allowed),
        _seldom(frame, "years_are_plausible", "occurred_year", (EARLIEST_YEAR, None),
                f"events are of {EARLIEST_YEAR} or later"),
        _seldom(frame, "progress_is_plausible", "progress_ratio", (-LARGEST_PROGRESS, LARGEST_PROGRESS),
                f"a check-in stays within {LARGEST_PROGRESS:g} times the gain aimed at"),
        _seldom(frame, "ratios_are_ratios", "sampled_ratio", (0, 1), "a metric in ratio is 0-1"),
        _seldom(frame, "intervals_are_ordered", "interval_width", (0, 1), "a forecast's low is not above its high"),
    )  # fmt: skip


def _slips(rows: int, ratio: float) -> float:
    return SLIPS_ALLOWED + ratio * rows


def _null(name: str, column: str, says: str, allowed: float | None = None) -> Rule:
    """Rule that a column is null, but for the share `allowed` of all rows."""
    return Rule(
        name, says, "expect_column_values_to_be_null", _mostly({"column": column}, allowed), allowed is not None
    )


def _seldom(
    frame: "pd.DataFrame", name: str, column: str, bounds: tuple[float | None, float | None], says: str
) -> Rule:
    """Rule of plausibility that a few slips may break; rows where the question does not arise are null."""
    asked = int(frame[column].count())
    allowed = min(1.0, _slips(asked, SLIP_RATIO_ALLOWED) / asked) if asked else 1.0
    return _between(name, column, bounds, f"but for few slips, {says}", allowed)


def _between(
    name: str, column: str, bounds: tuple[float | None, float | None], says: str, allowed: float | None = None
) -> Rule:
    arguments = _mostly({"column": column, "min_value": bounds[0], "max_value": bounds[1]}, allowed)
    return Rule(name, says, "expect_column_values_to_be_between", arguments, acceptable=allowed is not None)


def _mostly(arguments: dict[str, Any], allowed: float | None) -> dict[str, Any]:
    return arguments if allowed is None else arguments | {"mostly": 1.0 - allowed}
