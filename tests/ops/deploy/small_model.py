"""A forecast model trained on made-up rows, registered as champion: predictions need no organisation."""

from datetime import UTC, date, datetime

import numpy as np

from lakehouse.settings import Settings
from ml import model_registry
from ml.champion import set_champion
from ml.feature_mart import REQUIRED_FEATURES
from ml.feature_rows import Rows
from ml.fit_model import fit
from ml.hyperparameters import Hyperparameters

KEY_RESULTS, CHECK_INS, CYCLES = 60, 5, 3


def register_champion(settings: Settings) -> str:
    """Train, register and promote a model; return its version."""
    model = fit(made_up_rows(), Hyperparameters(rounds=5, thresholds=3))
    version = model_registry.register(
        settings,
        {"model": model, "evaluated": model},
        parameters={},
        metrics={},
        tags={"trained_until": model.trained_until},
    )
    set_champion(settings, version)
    return version


def made_up_rows() -> Rows:
    """Return check-ins of closed key results. Those with more progress are achieved more often."""
    random = np.random.default_rng(7)
    count = KEY_RESULTS * CHECK_INS
    columns = {name: random.normal(0.0, 1.0, count) for name in REQUIRED_FEATURES}
    progress = random.uniform(0.05, 0.6, count)
    final = np.repeat(random.uniform(0.3, 1.0, KEY_RESULTS), CHECK_INS)
    columns |= {
        "progress_ratio": progress,
        "remaining_ratio": random.uniform(0.2, 0.9, count),
        "elapsed_ratio": random.uniform(0.1, 0.9, count),
        "confidence": random.uniform(0.1, 0.9, count),
        "check_ins": random.integers(1, 8, count).astype(float),
        "days_remaining": random.uniform(5.0, 80.0, count),
        "days_since_check_in": random.uniform(0.0, 9.0, count),
        "weeks_between_check_ins": random.uniform(0.5, 3.0, count),
        "noise_ratio": random.uniform(0.1, 1.0, count),
        "final_progress": final,
        "final_score": final,
        "is_achieved": final >= 0.7,
    }
    months = [1 + number // CHECK_INS % CYCLES for number in range(count)]
    names = np.array([f"k{number // CHECK_INS}" for number in range(count)], dtype=object)
    columns |= {
        "key_result_in_cycle": names,
        "as_of_kind": np.array(["check_in"] * count, dtype=object),
        "period_start": np.array([date(2026, month, 1) for month in months], dtype=object),
        "period_end": np.array([date(2026, month, 28) for month in months], dtype=object),
        "known_at": np.array([datetime(2026, month, 10, tzinfo=UTC) for month in months], dtype=object),
        "outcome_known_at": np.array([datetime(2026, month + 1, 1, tzinfo=UTC) for month in months], dtype=object),
    }
    return Rows(columns)
