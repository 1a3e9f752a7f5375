"""Drift: small for rows like those of the training, at whatever stage of the cycle, and large for others."""

from pathlib import Path
from typing import Any

import numpy as np

from ml.feature_mart import REQUIRED_FEATURES
from ml.feature_rows import Rows, rows_of_mappings
from ml.reference_distribution import COMPARED, PROBABILITY, read_reference, reference_of


def records(seed: int, number: int, *, stage: tuple[float, float] = (0.0, 1.0), shift: float = 0.0) -> list[Any]:
    """Return rows whose features depend on the stage of the cycle."""
    random = np.random.default_rng(seed)
    elapsed = random.uniform(*stage, number)
    found = []
    for each in elapsed:
        row = {name: float(random.normal(each * 3 + shift, 1)) for name in REQUIRED_FEATURES}
        known = {"elapsed_ratio": float(each), "remaining_ratio": 1.0 - float(each), "check_ins": int(each * 12)}
        row |= known | {"confidence": None if random.random() < 0.3 else float(random.uniform())}
        found.append(row)
    return found


def probabilities(rows: list[Any]) -> list[float]:
    return [row["elapsed_ratio"] for row in rows]


def rows_for(found: list[Any]) -> Rows:
    return rows_of_mappings(found, REQUIRED_FEATURES)


TRAINED = records(1, 4_000)
REFERENCE = reference_of(rows_for(TRAINED), np.array(probabilities(TRAINED)))


def test_rows_of_one_stage_that_are_like_those_of_the_training_have_little_drift() -> None:
    for stage in ((0.0, 0.2), (0.4, 0.6), (0.8, 1.0)):
        now = records(2, 500, stage=stage)
        drift = REFERENCE.drift(now, probabilities(now))
        assert set(drift) == {*COMPARED, PROBABILITY}
        assert max(drift.values()) < 0.1, (stage, drift)


def test_a_shifted_feature_a_missing_one_and_other_probabilities_are_noticed() -> None:
    now = records(3, 500, stage=(0.4, 0.6))
    moved = [row | {"progress_ratio": row["progress_ratio"] + 2, "confidence": None} for row in now]
    drift = REFERENCE.drift(moved, [0.99] * len(moved))
    assert {name for name, psi in drift.items() if psi > 0.25} == {"progress_ratio", "confidence", PROBABILITY}


def test_the_distribution_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_reference(tmp_path) is None
    REFERENCE.write(tmp_path)
    now = records(4, 100)
    read = read_reference(tmp_path)
    assert read is not None
    assert read.drift(now, probabilities(now)) == REFERENCE.drift(now, probabilities(now))
