"""The drift of the current key results against a version's training data is in the metrics."""

import re
from datetime import UTC, datetime

import pytest

from serving.models.key_result_forecast.model import MODEL
from serving.models.loaded_version import LoadedVersion
from serving.models.served_model import Trained
from serving.observability import metrics
from serving.predictor.drift import MIN_ROWS, observe_drift
from serving.predictor.key_result_answers import CachedForecast, KeyResultCycle
from serving.publication_reader import Row
from tests.ml.test_reference_distribution import REFERENCE, records


def observed(role: str, rows: list[Row], probability: float) -> dict[str, float]:
    """Return the drift that Prometheus reads for a version, by feature; that of the probabilities is `probability`."""
    assert MODEL.rule is not None
    version = LoadedVersion(MODEL, "1", role, Trained(MODEL.rule.scorer, reference=REFERENCE))
    now = datetime.now(UTC)
    forecasts: dict[KeyResultCycle, CachedForecast] = {
        (f"kr{number}", "c"): CachedForecast(now, now, "c", "t", {"probability": probability})
        for number in range(len(rows))
    }
    observe_drift(version, rows, forecasts)
    text = metrics.exposition().decode()
    found = re.findall(rf'^okr_feature_drift_psi{{feature="(\w+)",model="\w+",role="{role}"}} (\S+)$', text, re.M)
    found += re.findall(rf'^okr_(p)rediction_drift_psi{{model="\w+",role="{role}"}} (\S+)$', text, re.M)
    return {"probability" if name == "p" else name: float(psi) for name, psi in found}


def test_rows_like_those_of_the_training_drift_little_and_others_much() -> None:
    rows = records(2, 500)
    moved = [row | {"progress_ratio": row["progress_ratio"] + 2} for row in rows]
    alike, other = observed("champion", rows, 0.5), observed("challenger", moved, 0.99)
    assert alike["progress_ratio"] < 0.1
    assert other["progress_ratio"] > 0.25
    assert other["confidence"] == pytest.approx(alike["confidence"])
    assert other["probability"] > 0.25


def test_too_few_rows_say_nothing() -> None:
    assert observed("of_few_rows", records(3, MIN_ROWS - 1), 0.99) == {}
