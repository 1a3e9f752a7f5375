"""Golden rows: feature rows and their forecasts, stored with each registered version and checked before it serves.

A version whose files are intact can still forecast differently on another host, for example with another release of
XGBoost or after a change of this code. The rows are made up, so they contain no data of an organisation.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml.forecaster_protocol import Forecaster

FILE = "golden_rows.json"
TOLERANCE = 1e-6  # 32-bit sums of XGBoost may differ by about 1e-7 between processors

_ON_PACE: Mapping[str, float | None] = {
    "log_pace_ratio_7d": 0.4,
    "log_pace_ratio_14d": 0.3,
    "log_pace_ratio_28d": 0.3,
    "log_pace_ratio_cycle": 0.2,
    "log_pace_ratio_trend": 0.1,
    "log_required_pace": 2.6,
    "remaining_ratio": 0.5,
    "weeks_between_check_ins": 1.0,
    "confidence": 0.7,
    "progress_ratio": 0.45,
    "elapsed_ratio": 0.5,
    "check_ins": 6,
    "days_remaining": 45.0,
    "days_since_check_in": 1.0,
    "noise_ratio": 0.4,
    "peer_drift": 0.3,
    "reversion_ratio": -0.05,
    "season_ratio": 0.08,
}
_CHANGES: tuple[Mapping[str, float | None], ...] = (
    {},
    {"confidence": None},
    {"log_pace_ratio_7d": -2.5, "log_pace_ratio_14d": -2.0, "log_pace_ratio_cycle": -1.0, "log_pace_ratio_trend": -1.5},
    {"log_pace_ratio_7d": 2.0, "log_pace_ratio_cycle": 1.5, "progress_ratio": 0.9, "log_required_pace": -1.0},
    {"noise_ratio": 0.05, "peer_drift": -2.5, "reversion_ratio": -0.6, "season_ratio": 0.9},
    {"remaining_ratio": 0.05, "elapsed_ratio": 0.95, "days_remaining": 4.0, "confidence": 0.2},
    {"weeks_between_check_ins": 5.0, "days_since_check_in": 20.0, "check_ins": 1},
    {"remaining_ratio": 0.9, "elapsed_ratio": 0.1, "days_remaining": 81.0, "confidence": 1.0},
    {"check_ins": 0, "confidence": None, "progress_ratio": 0.0, "elapsed_ratio": 0.3},
)
ROWS: Sequence[Mapping[str, float | None]] = tuple({**_ON_PACE, **changes} for changes in _CHANGES)


def write_golden_rows(forecaster: Forecaster, folder: Path) -> None:
    """Write the rows with the forecaster's probabilities and intervals to a folder."""
    expected = [
        {"row": dict(row), "output": {"probability": forecast.probability, "low": forecast.low, "high": forecast.high}}
        for row, forecast in zip(ROWS, forecaster.forecast(ROWS), strict=True)
    ]
    document = {"tolerance": TOLERANCE, "golden_rows": expected}
    (folder / FILE).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read_golden_rows(folder: Path) -> tuple[float, list[tuple[dict[str, Any], dict[str, Any]]]]:
    """Return the tolerance, and each row with its expected output. Versions from earlier releases have no rows."""
    try:
        document = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return TOLERANCE, []
    return float(document["tolerance"]), [(each["row"], each["output"]) for each in document["golden_rows"]]
