"""Compare the current key results with a version's training data, once per publication and version."""

from collections.abc import Mapping, Sequence

from ml.reference_distribution import PROBABILITY
from serving.models.loaded_version import LoadedVersion
from serving.observability import metrics
from serving.predictor.key_result_answers import CachedForecast, KeyResultCycle
from serving.publication_reader import Row

MIN_ROWS = 50  # with fewer rows, chance alone changes the shares too much


def observe_drift(
    version: LoadedVersion, rows: Sequence[Row], forecasts: Mapping[KeyResultCycle, CachedForecast]
) -> None:
    """Set the drift metrics from a batch of feature rows and its forecasts. The next batch replaces them."""
    reference = version.trained.reference
    if reference is None or len(rows) < MIN_ROWS:
        return
    probabilities = [forecast.output["probability"] for forecast in forecasts.values()]
    for name, psi in reference.drift(rows, probabilities).items():
        if name == PROBABILITY:
            metrics.PREDICTION_DRIFT.labels(version.name, version.role).set(psi)
        else:
            metrics.FEATURE_DRIFT.labels(version.name, version.role, name).set(psi)
