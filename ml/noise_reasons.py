"""Describe what the noise regression sees in a row, in the unit of the key result if the row names its target."""

from collections.abc import Mapping
from typing import Any

from lakehouse.number_format import approximate, percent

LONGEST_UNIT = 20  # longer units are not repeated in reasons

Row = Mapping[str, Any]


def noise_observation(theme: str, row: Row) -> str:
    """Return the observation of one theme: `distance`, `season`, `peers` or `reversion`."""
    match theme:
        case "distance":
            progress, days = percent(row["progress_ratio"]), days_text(row["days_remaining"])
            return f"Progress is at {progress} with {days} left; {_usual_change(row)} until the end of the cycle"
        case "season":
            return f"The same weeks of last year suggest {_expected_change(row['season_ratio'], row)}"
        case "peers":
            direction = "towards" if row["peer_drift"] > 0 else "away from"
            return f"The organisation's other key results have recently moved {direction} their targets"
        case _:
            change = _expected_change(row["reversion_ratio"], row)
            return f"The value is {_side(row)} its usual level of earlier cycles, which suggests {change}"


def days_text(days: float) -> str:
    """Format a number of days."""
    whole = round(days)
    return "less than a day" if days < 0.5 else "1 day" if whole == 1 else f"{whole} days"


def _usual_change(row: Row) -> str:
    gain = _gain(row)
    if gain is None:
        return f"it usually changes by about {approximate(100 * row['noise_ratio'])}%"
    return f"the value usually changes by about {_amount(row['noise_ratio'] * gain, row)}"


def _expected_change(ratio: float, row: Row) -> str:
    """Return a change, which is given in units of the targeted gain, in the unit of the key result if it is known."""
    gain = _gain(row)
    if gain is None:
        return f"about {approximate(100 * ratio)}% {'more' if ratio > 0 else 'less'} progress"
    return f"a {'rise' if ratio * gain > 0 else 'fall'} of about {_amount(ratio * gain, row)}"


def _side(row: Row) -> str:
    gain = _gain(row)
    if gain is None:
        return "ahead of" if row["reversion_ratio"] < 0 else "behind"
    return "above" if row["reversion_ratio"] * gain < 0 else "below"


def _gain(row: Row) -> float | None:
    """Return the targeted gain, which is negative for a value that should fall. Rows of callers may not have it."""
    baseline, target = row.get("baseline"), row.get("target")
    return None if baseline is None or target is None else float(target - baseline)


def _amount(change: float, row: Row) -> str:
    unit = str(row.get("unit") or "")
    if len(unit) > LONGEST_UNIT:
        unit = ""
    return f"{approximate(change)}{'' if unit in {'', '%'} else ' '}{unit}"
