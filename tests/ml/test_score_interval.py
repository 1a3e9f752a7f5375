import numpy as np

from ml.feature_rows import Rows
from ml.score_interval import MIN_ROWS, Bands, fit_bands, reconcile


def cycle_of(end: str, *, spread: float, rows: int = MIN_ROWS) -> dict[str, list[object]]:
    """Rows of one cycle, two weeks before its end, whose future pace is within `spread` of their past pace of 0."""
    columns: dict[str, float] = {
        "progress_ratio": 0.2, "remaining_ratio": 0.5, "days_remaining": 14.0, "days_since_check_in": 0.0,
        "log_pace_ratio_7d": 0.0, "log_pace_ratio_14d": 0.0, "log_pace_ratio_cycle": 0.0, "log_required_pace": 0.0,
    }  # fmt: skip
    final = 0.2 + np.linspace(-spread, spread, rows)
    return {name: [value] * rows for name, value in columns.items()} | {
        "final_progress": list(final),
        "period_end": [end] * rows,
    }


def bands_of(*cycles: dict[str, list[object]]) -> Bands:
    joined = {name: [value for cycle in cycles for value in cycle[name]] for name in cycles[0]}
    return fit_bands(Rows({name: np.array(column, dtype=object) for name, column in joined.items()}), 0.9)


def test_the_widest_band_of_any_training_cycle_is_used():
    wide, narrow = cycle_of("2025-06-30", spread=0.5), cycle_of("2025-03-31", spread=0.1)
    alone, later_narrow = bands_of(wide), {**narrow, "period_end": ["2025-09-30"] * MIN_ROWS}
    assert bands_of(narrow).by_week[2][1] < alone.by_week[2][1]
    assert bands_of(narrow, wide) == bands_of(wide, later_narrow) == bands_of(narrow, wide, later_narrow) == alone


def test_each_side_of_a_band_is_the_widest_of_any_cycle():
    high, low = (cycle_of(end, spread=0.1) for end in ("2025-03-31", "2025-06-30"))
    for cycle, shift in ((high, 0.3), (low, -0.3)):
        cycle["final_progress"] = [float(value) + shift for value in cycle["final_progress"]]
    both = bands_of(high, low).by_week[2]
    assert both == (bands_of(low).by_week[2][0], bands_of(high).by_week[2][1])


def test_a_cycle_with_few_rows_in_a_week_does_not_widen_the_band():
    few, many = cycle_of("2025-06-30", spread=0.5, rows=MIN_ROWS - 1), cycle_of("2025-03-31", spread=0.1)
    assert bands_of(many, few) == bands_of(many)


def test_an_interval_is_on_the_side_of_the_threshold_that_its_probability_implies():
    low, high = np.array([0.1, 0.1, 0.9, 0.2, 0.75]), np.array([1.0, 1.0, 1.0, 0.5, 0.9])
    probability = np.array([0.01, 0.5, 0.99, 0.99, 0.01])
    agreed = reconcile(low, high, probability, 0.9)
    assert agreed[0].tolist() == [0.1, 0.1, 0.9, 0.7, 0.7]
    assert agreed[1].tolist() == [0.7, 1.0, 1.0, 0.7, 0.7]


def test_a_moderate_probability_has_the_threshold_inside_its_interval():
    low, high = np.array([0.71, 1.0, 0.0, 0.0, 0.8, 0.9]), np.array([1.0, 1.0, 0.35, 0.0, 1.0, 0.95])
    probability = np.array([0.17, 0.81, 0.39, 0.85, 0.05, 0.95])
    agreed = reconcile(low, high, probability, 0.9)
    assert (agreed[0] <= 0.7).all()
    assert (agreed[1] >= 0.7).all()
    assert (agreed[0] >= 0).all()
    assert (agreed[1] <= 1).all()
    # The interval of a high probability is mostly above the threshold, that of a low one mostly below.
    assert agreed[0][1] > 0.6
    assert agreed[0][0] < 0.1
