from typing import Any

import pytest

from ml.forecast_reasons import THEMES, row_reasons
from ml.golden_rows import ROWS
from ml.noise_reasons import noise_observation

LATENCY = {"baseline": 240.0, "target": 200.0, "unit": "ms"}  # should fall by 40 ms
ROW: dict[str, Any] = dict(ROWS[0]) | {
    "progress_ratio": 0.25, "days_remaining": 45.0, "noise_ratio": 0.852, "peer_drift": -0.4, "season_ratio": 0.3,
    "reversion_ratio": -0.1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("theme", "known", "observation"),
    [
        ("distance", LATENCY, "with 45 days left; the value usually changes by about 34 ms until the end of the cycle"),
        ("distance", {}, "with 45 days left; it usually changes by about 85% until the end of the cycle"),
        ("season", LATENCY, "The same weeks of last year suggest a fall of about 12 ms"),
        ("season", {}, "The same weeks of last year suggest about 30% more progress"),
        ("peers", {}, "The organisation's other key results have recently moved away from their targets"),
        ("reversion", LATENCY, "below its usual level of earlier cycles, which suggests a rise of about 4 ms"),
        ("reversion", {}, "ahead of its usual level of earlier cycles, which suggests about 10% less progress"),
    ],
)
def test_observations_name_the_change_in_the_unit_of_the_key_result(
    theme: str, known: dict[str, Any], observation: str
) -> None:
    assert noise_observation(theme, ROW | known).endswith(observation)


@pytest.mark.parametrize(
    ("baseline", "target", "unit", "shown"),
    [
        (0.0, 10.0, "%", "a rise of about 3%"),
        (0.0, 5_000_000.0, "visitors a month", "a rise of about 1,500,000 visitors a month"),
        (0.0, 0.0123, None, "a rise of about 0.0037"),
        (0.0, 10.0, "x" * 21, "a rise of about 3"),
    ],
)
def test_amounts_have_two_digits_and_a_short_unit(baseline: float, target: float, unit: str | None, shown: str) -> None:
    row = ROW | {"baseline": baseline, "target": target, "unit": unit}
    assert noise_observation("season", row).endswith(f"suggest {shown}")


def test_effects_with_the_same_meaning_are_one_reason_and_the_strongest_comes_first() -> None:
    contributions = dict.fromkeys((name for names in THEMES.values() for name in names), 0.0)
    contributions |= {"season_ratio": 1.1, "progress_ratio": -0.5, "remaining_ratio": -0.4, "log_remaining_ratio": 0.2}
    first, second = row_reasons(ROW | LATENCY, contributions)
    assert first == "The same weeks of last year suggest a fall of about 12 ms. This multiplies the odds by 3.0."
    assert second.startswith("Progress is at 25% with 45 days left; the value usually changes by about 34 ms")
    assert second.endswith("This divides the odds by 2.0.")
