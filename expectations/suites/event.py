"""The suites of waiting events, one per topic, with rules on the columns that `waiting_batch.sql` computes."""

from typing import TYPE_CHECKING, Any

from expectations.rules import Rule, Suite

if TYPE_CHECKING:
    import pandas as pd

# One user's mistake must not stop all marts, so individual implausible rows are loaded and flagged
# (marts.fct_reviewed_event). A batch is stopped only if it has at least MIN_ROWS_FOR_SHARE rows and more than
# MAX_IMPLAUSIBLE_SHARE of them are implausible, because the likely cause is then a wrong unit or a broken source.
MAX_IMPLAUSIBLE_SHARE = 0.2
MIN_ROWS_FOR_SHARE = 50
# Validation before landing already rejects events dated more than this many seconds after the broker received them.
MAX_SECONDS_AHEAD = 600
EARLIEST_YEAR = 1990
# Real values can exceed this if the targeted gain is small: 7 of 3,137 and 35 of 7,631 check-ins in two real histories.
MAX_PROGRESS = 100.0


def suite(topic: str, frame: "pd.DataFrame") -> Suite:
    """Return the rules for the waiting rows of one topic; `frame` is the result of `waiting_batch.sql`."""
    rules = (*_strict_rules(), *_plausibility_rules(frame))
    return Suite(name=topic, table=f"the lake's waiting rows of {topic}", rules=rules, frame=frame)


def _strict_rules() -> tuple[Rule, ...]:
    return (
        _null("is_complete", "missing", "a valid event has an id, type, source, subject, times and data"),
        _null("type_is_known", "unknown_type", "a valid event's type is one of those that belong to its topic"),
        _between("not_from_the_future", "seconds_ahead", (None, MAX_SECONDS_AHEAD),
                 f"no event occurred more than {MAX_SECONDS_AHEAD} s after the broker received it"),
        _between("not_recorded_after_logged", "recorded_ahead_s", (None, 0),
                 "no event was recorded after the broker logged it"),
    )  # fmt: skip


def _plausibility_rules(frame: "pd.DataFrame") -> tuple[Rule, ...]:
    rows = len(frame)
    check_ins = int(frame["progress_ratio"].count() + frame["unknown_key_result"].count())
    return (
        _null("few_rejects", "rejection_reason", _with_tolerance("messages satisfy their contract"), _allowed(rows)),
        _null("key_results_are_known", "unknown_key_result",
              _with_tolerance("check-ins belong to a defined key result"),
              min(1.0, _allowed(check_ins) * check_ins / rows) if check_ins >= MIN_ROWS_FOR_SHARE else 1.0),
        _mostly_between(frame, "years_are_plausible", "occurred_year", (EARLIEST_YEAR, None),
                f"events occurred in {EARLIEST_YEAR} or later"),
        _mostly_between(frame, "progress_is_plausible", "progress_ratio", (-MAX_PROGRESS, MAX_PROGRESS),
                f"check-ins differ from the baseline by at most {MAX_PROGRESS:g} times the targeted gain"),
        _mostly_between(frame, "ratios_are_ratios", "sampled_ratio", (0, 1), "metrics with the unit ratio are 0-1"),
        _mostly_between(frame, "intervals_are_ordered", "interval_width", (0, 1),
                "a forecast's low is not above its high"),
    )  # fmt: skip


def _allowed(rows: int) -> float:
    """Return the share of rows that may be implausible; it is 1 if there are fewer than MIN_ROWS_FOR_SHARE rows."""
    return MAX_IMPLAUSIBLE_SHARE if rows >= MIN_ROWS_FOR_SHARE else 1.0


def _with_tolerance(expected: str) -> str:
    return f"{expected} (up to {MAX_IMPLAUSIBLE_SHARE:.0%} of at least {MIN_ROWS_FOR_SHARE} rows may break this rule)"


def _null(name: str, column: str, says: str, allowed: float | None = None) -> Rule:
    """Return the rule that a column is null, except in at most the share `allowed` of all rows."""
    return Rule(
        name, says, "expect_column_values_to_be_null", _mostly({"column": column}, allowed), allowed is not None
    )


def _mostly_between(
    frame: "pd.DataFrame", name: str, column: str, bounds: tuple[float | None, float | None], says: str
) -> Rule:
    """Return a plausibility rule that a certain share of the rows may break; nulls are ignored."""
    return _between(name, column, bounds, _with_tolerance(says), _allowed(int(frame[column].count())))


def _between(
    name: str, column: str, bounds: tuple[float | None, float | None], says: str, allowed: float | None = None
) -> Rule:
    arguments = _mostly({"column": column, "min_value": bounds[0], "max_value": bounds[1]}, allowed)
    return Rule(name, says, "expect_column_values_to_be_between", arguments, acceptable=allowed is not None)


def _mostly(arguments: dict[str, Any], allowed: float | None) -> dict[str, Any]:
    return arguments if allowed is None else arguments | {"mostly": 1.0 - allowed}
