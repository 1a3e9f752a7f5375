"""Noun: event, as it waits in the lake. One suite a topic, over the columns that `waiting_batch.sql` computes."""

from typing import TYPE_CHECKING, Any

from expectations.rules import Rule, Suite

if TYPE_CHECKING:
    import pandas as pd

# One user's slip must not stop everybody's marts: what is implausible is loaded and flagged, row by row (see
# marts.fct_reviewed_event). A whole batch is held back only where so large a share of at least so many rows is
# implausible that a wrong unit or a broken source is the likelier cause.
HELD_SHARE = 0.2
FEWEST_FOR_A_SHARE = 50
# The contract rejects what happens later than this after the broker had it; the gate is the second wall.
FURTHEST_AHEAD_S = 600
EARLIEST_YEAR = 1990
# Where a small gain was aimed at, real values lie beyond this, too: 7 of 3,137 browser and 35 of 7,631 flu check-ins.
LARGEST_PROGRESS = 100.0


def suite(topic: str, frame: "pd.DataFrame") -> Suite:
    """Return the rules for one topic's waiting rows; `frame` holds `waiting_batch.sql`'s columns, one row a message."""
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
    return (
        _null("few_rejects", "rejection_reason", _says("messages keep their contract"), _allowed(rows)),
        _null("key_results_are_known", "unknown_key_result", _says("check-ins belong to a defined key result"),
              min(1.0, _allowed(check_ins) * check_ins / rows) if check_ins >= FEWEST_FOR_A_SHARE else 1.0),
        _seldom(frame, "years_are_plausible", "occurred_year", (EARLIEST_YEAR, None),
                f"events are of {EARLIEST_YEAR} or later"),
        _seldom(frame, "progress_is_plausible", "progress_ratio", (-LARGEST_PROGRESS, LARGEST_PROGRESS),
                f"check-ins stay within {LARGEST_PROGRESS:g} times the gain aimed at"),
        _seldom(frame, "ratios_are_ratios", "sampled_ratio", (0, 1), "metrics in ratio are 0-1"),
        _seldom(frame, "intervals_are_ordered", "interval_width", (0, 1), "a forecast's low is not above its high"),
    )  # fmt: skip


def _allowed(rows: int) -> float:
    """Return which share of so many rows may be implausible: a share says little about a handful."""
    return HELD_SHARE if rows >= FEWEST_FOR_A_SHARE else 1.0


def _says(expected: str) -> str:
    return f"but for {HELD_SHARE:.0%} of {FEWEST_FOR_A_SHARE} or more, {expected}"


def _null(name: str, column: str, says: str, allowed: float | None = None) -> Rule:
    """Rule that a column is null, but for the share `allowed` of all rows."""
    return Rule(
        name, says, "expect_column_values_to_be_null", _mostly({"column": column}, allowed), allowed is not None
    )


def _seldom(
    frame: "pd.DataFrame", name: str, column: str, bounds: tuple[float | None, float | None], says: str
) -> Rule:
    """Rule of plausibility that a share may break; rows where the question does not arise are null."""
    return _between(name, column, bounds, _says(says), _allowed(int(frame[column].count())))


def _between(
    name: str, column: str, bounds: tuple[float | None, float | None], says: str, allowed: float | None = None
) -> Rule:
    arguments = _mostly({"column": column, "min_value": bounds[0], "max_value": bounds[1]}, allowed)
    return Rule(name, says, "expect_column_values_to_be_between", arguments, acceptable=allowed is not None)


def _mostly(arguments: dict[str, Any], allowed: float | None) -> dict[str, Any]:
    return arguments if allowed is None else arguments | {"mostly": 1.0 - allowed}
