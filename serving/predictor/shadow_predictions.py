"""Let the shadow arms of an experiment predict for requests that other versions have answered."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ingestion.contract_validation import EncodedEvent
from serving.experiments.shadow import ShadowScorer
from serving.experiments.versions_of_arms import Assigned, UnitIds, shadow_arms
from serving.http.request_context import event_attributes
from serving.models.serving_state import ServingState
from serving.predictor.feature_scoring import FeatureScorer
from serving.predictor.forecast_tables import Snapshot
from serving.predictor.key_result_answers import CachedForecast
from serving.predictor.prediction import Prediction, of_features, of_key_result, shadowed_event


class ShadowPredictions:
    """Queues the shadow predictions of a request. Requests do not wait for them."""

    def __init__(self, shadows: ShadowScorer, scorer: FeatureScorer) -> None:
        self._shadows = shadows
        self._scorer = scorer

    def of_key_result(self, served: Prediction, state: ServingState, units: UnitIds, snapshot: Snapshot) -> None:
        """Queue what the shadow arms forecast for the same key result, from their tables."""
        for arm in shadow_arms(state, units):
            table = snapshot.tables.get(arm.version.key)
            answer = None if table is None else table.answers.get(str(served.key_result_id))
            if isinstance(answer, CachedForecast):
                publication_id = snapshot.publication.publication_id
                shadow = of_key_result(str(served.key_result_id), answer, arm, publication_id)
                self._shadows.submit(partial(_events, [shadow], [served], event_attributes()))

    def of_features(
        self, served: Sequence[Prediction], rows: Sequence[Mapping[str, Any]], state: ServingState, units: UnitIds
    ) -> None:
        """Queue what the shadow arms predict for the same rows."""
        for arm in shadow_arms(state, units):
            self._shadows.submit(partial(self._score, arm, rows, served, event_attributes()))

    def _score(
        self,
        arm: Assigned,
        rows: Sequence[Mapping[str, Any]],
        served: Sequence[Prediction],
        attributes: Mapping[str, str],
    ) -> list[EncodedEvent]:
        return _events([of_features(scored, arm) for scored in self._scorer.score_by(arm, rows)], served, attributes)


def _events(
    shadows: Sequence[Prediction], served: Sequence[Prediction], attributes: Mapping[str, str]
) -> list[EncodedEvent]:
    return [shadowed_event(shadow, answered, attributes) for shadow, answered in zip(shadows, served, strict=True)]
