"""Convert contributions to the log-odds into reasons in plain language, including the underlying numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lakehouse.achieved_score import ACHIEVED_SCORE, TOLERANCE
from lakehouse.number_format import chance, percent
from ml.design_matrix import BOOSTED, LOGISTIC
from ml.noise_reasons import Row, days_text, noise_observation
from ml.pace_transform import PACE_SCALE

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

# Features with the same meaning for a reader are combined into one reason.
THEMES: Mapping[str, tuple[str, ...]] = {
    "recent_pace": ("log_pace_ratio_7d", "log_pace_ratio_14d", "log_pace_ratio_trend"),
    "cycle_pace": ("log_pace_ratio_28d", "log_pace_ratio_cycle"),
    "distance": ("progress_ratio", "remaining_ratio", "log_remaining_ratio"),
    "season": ("season_ratio",),
    "peers": ("peer_drift",),
    "reversion": ("reversion_ratio",),
    "rhythm": ("weeks_between_check_ins",),
    "confidence": ("confidence",),
}
MAX_REASONS = 3
FAINT_EFFECT = 0.05  # log-odds; a weaker effect is shown only if there is no stronger one
MAX_EFFECT = math.log(50.0)  # log-odds; larger effects are shown as "more than 50-fold"
STALE_DAYS = 14


def pace_contributions(boosted: "NDArray[float64]", logistic: "NDArray[float64]") -> dict[str, "NDArray[float64]"]:
    """Average the contributions of the trees and the regression, per feature and for `base`.

    They add up to the log-odds of the pace model.
    """
    contributions = {name: boosted[:, column] / 2 for column, name in enumerate(BOOSTED)}
    for column, name in enumerate(LOGISTIC):
        contributions[name] = contributions.get(name, 0.0) + logistic[:, column] / 2
    contributions["base"] = (boosted[:, -1] + logistic[:, -1]) / 2
    return contributions


def reasons(records: Sequence[Row], contributions: Mapping[str, "NDArray[float64]"]) -> list[tuple[str, ...]]:
    """Return each row's reasons, strongest first, followed by a warning if the last check-in is old."""
    return [
        row_reasons(row, {name: float(effect[position]) for name, effect in contributions.items()})
        for position, row in enumerate(records)
    ]


def row_reasons(row: Row, contributions: Mapping[str, float]) -> tuple[str, ...]:
    """Return the reasons of one row. Changes are stated in its `unit` if it has a baseline and a target."""
    effects = {theme: sum([contributions[name] for name in names]) for theme, names in THEMES.items()}
    return (*_strongest(row, effects), *_staleness(row))


def prior_reasons(row: Row, contributions: Mapping[str, float]) -> tuple[str, ...]:
    """Return the reasons of a forecast by the prior, which has only some of the contributions."""
    every = {name: contributions.get(name, 0.0) for names in THEMES.values() for name in names}
    if row["check_ins"]:
        return row_reasons(row, every)
    assumed = (
        f"There is no check-in yet, {percent(row['elapsed_ratio'])} into the cycle, so the value is assumed to be at "
        "its baseline."
    )
    return (assumed, *row_reasons({**row, "days_since_check_in": 0.0}, every))


def no_check_in_reason(row: Row, share: float) -> tuple[str, ...]:
    """Return the reason for the forecast of a key result without check-ins."""
    return (
        f"There is no check-in yet, {percent(row['elapsed_ratio'])} into the cycle. Of earlier key results that had no "
        f"check-in for as long, {chance(share)} were achieved.",
    )


def _strongest(row: Row, effects: Mapping[str, float]) -> Sequence[str]:
    order = sorted(effects, key=lambda theme: -abs(effects[theme]))
    chosen = [theme for theme in order[:MAX_REASONS] if abs(effects[theme]) >= FAINT_EFFECT] or order[:1]
    return [f"{_observation(theme, row)}. {_effect(effects[theme])}." for theme in chosen]


def _effect(log_odds: float) -> str:
    if abs(log_odds) < FAINT_EFFECT:
        return "This hardly changes the odds"
    factor = math.exp(min(abs(log_odds), MAX_EFFECT))
    times = f"{factor:.1f}" if abs(log_odds) < MAX_EFFECT else "more than 50"
    return f"This {'multiplies' if log_odds > 0 else 'divides'} the odds by {times}"


def _observation(theme: str, row: Row) -> str:
    match theme:
        case "recent_pace" if row["progress_ratio"] >= ACHIEVED_SCORE - TOLERANCE:
            progress = percent(row["progress_ratio"])
            return f"A score of {ACHIEVED_SCORE} has already been reached, with progress at {progress}"
        case "recent_pace":
            weekly = _progress_per_week(row, "log_pace_ratio_7d")
            return f"Progress was {weekly} per week in the 7 days before the last check-in ({_needed(row)})"
        case "cycle_pace":
            weekly = _progress_per_week(row, "log_pace_ratio_cycle")
            return f"Progress has been {weekly} per week since the cycle started{_needed_if_not_reached(row)}"
        case "distance" | "season" | "peers" | "reversion":
            return noise_observation(theme, row)
        case "rhythm":
            return f"The last two check-ins were {days_text(row['weeks_between_check_ins'] * 7)} apart"
        case _:
            return f"The owner's confidence is {percent(row['confidence'])}"


def _progress_per_week(row: Row, ratio: str) -> str:
    pace = PACE_SCALE * math.sinh(_bounded(row[ratio] + row["log_required_pace"]))
    return percent(pace * _cycles_per_week(row), decimals=1, beside=(_needed_per_week(row),))


def _needed_if_not_reached(row: Row) -> str:
    return "" if row["progress_ratio"] >= ACHIEVED_SCORE - TOLERANCE else f" ({_needed(row)})"


def _needed(row: Row) -> str:
    per_week = _needed_per_week(row)
    return (
        f"{percent(per_week, decimals=1)} per week is needed for a score of {ACHIEVED_SCORE}"
        if per_week < 1
        else f"far less than is needed for a score of {ACHIEVED_SCORE}"
    )


def _needed_per_week(row: Row) -> float:
    return PACE_SCALE * math.sinh(_bounded(row["log_required_pace"])) * _cycles_per_week(row)


def _cycles_per_week(row: Row) -> float:
    # `days` is the time left at the last check-in; `remaining_ratio` is the same time as a share of the cycle.
    days = max(row["days_remaining"] + row["days_since_check_in"], 0.25)
    return float(7.0 * row["remaining_ratio"] / days)


def _bounded(log_pace: float) -> float:
    return max(min(log_pace, 30.0), -30.0)


def _staleness(row: Row) -> tuple[str, ...]:
    if row["days_since_check_in"] <= STALE_DAYS:
        return ()
    return (f"The last check-in is {days_text(row['days_since_check_in'])} old, and the forecast is based on it.",)
