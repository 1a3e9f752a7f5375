"""Made-up check-ins of closed cycles, whose outcomes depend on the features in units of noise."""

from datetime import UTC, date, datetime

import numpy as np

from ml.feature_mart import PACE_RATIOS
from ml.feature_rows import Rows
from ml.noise_regression import NoiseRegression

CHECK_INS = 4


def closed_cycles(*key_results: int, seed: int = 1, shown_by: str | None = None) -> Rows:
    """Return 4 equal check-ins of each key result, in one cycle per given number of key results.

    The prior describes the outcomes or, with `shown_by`, this feature alone decides them.
    """
    random = np.random.default_rng(seed)
    count = sum(key_results)
    remaining = random.uniform(0.1, 0.9, count)
    features = {name: random.normal(-0.5, 1.5, count) for name in (*PACE_RATIOS, "log_required_pace")} | {
        "remaining_ratio": remaining,
        "elapsed_ratio": 1.0 - remaining,
        "days_remaining": 90.0 * remaining,
        "days_since_check_in": np.zeros(count),
        "weeks_between_check_ins": random.uniform(0.5, 3.0, count),
        "confidence": np.full(count, np.nan),
        "progress_ratio": random.uniform(0.0, 0.9, count),
        "check_ins": random.integers(1, 8, count).astype(float),
        "noise_ratio": random.uniform(0.1, 0.6, count),
        "peer_drift": random.normal(0.0, 0.5, count),
        "reversion_ratio": random.normal(0.0, 0.2, count),
        "season_ratio": random.normal(0.0, 0.2, count),
    }
    log_odds = NoiseRegression().margins(Rows(features)) if shown_by is None else 10.0 * features[shown_by]
    is_achieved = random.random(count) < 1.0 / (1.0 + np.exp(-log_odds))
    final = np.where(is_achieved, random.uniform(0.7, 1.2, count), random.uniform(0.0, 0.6, count))
    key_result = np.repeat(np.arange(count), CHECK_INS)
    cycle = np.repeat(np.arange(len(key_results)), key_results)[key_result]
    columns = {name: values[key_result] for name, values in features.items()}
    return Rows(columns | _of_cycles(cycle) | _of_key_results(key_result) | _outcomes(final[key_result]))


def _of_cycles(cycle: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "period_start": np.array([date(2020 + each, 1, 1) for each in cycle], dtype=object),
        "period_end": np.array([date(2020 + each, 3, 31) for each in cycle], dtype=object),
        "known_at": np.array([datetime(2020 + each, 2, 1, tzinfo=UTC) for each in cycle], dtype=object),
        "outcome_known_at": np.array([datetime(2020 + each, 4, 1, tzinfo=UTC) for each in cycle], dtype=object),
    }


def _of_key_results(key_result: np.ndarray) -> dict[str, np.ndarray]:
    names = np.array([f"kr-{each}" for each in key_result], dtype=object)
    kinds = np.array(["check_in"] * len(names), dtype=object)
    return {"key_result": names, "key_result_in_cycle": names, "as_of_kind": kinds}


def _outcomes(final: np.ndarray) -> dict[str, np.ndarray]:
    return {"final_progress": final, "final_score": np.clip(final, 0.0, 1.0), "is_achieved": final >= 0.7}
