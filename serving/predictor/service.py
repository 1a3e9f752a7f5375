"""Serve predictions: by key result id from the tables of the current publication, or from named features.

Every prediction that is returned is also recorded as an event (okr.prediction.served.v2). This module does not depend
on HTTP.
"""

import threading
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date
from typing import Any

from ingestion.contract_validation import EncodedEvent
from lakehouse.errors import ContractViolation
from lakehouse.logs import get_logger
from serving.errors import NotApplicable, NotPersisted, NotServing
from serving.experiments.versions_of_arms import Assigned, UnitIds, predicting_arm
from serving.models.catalog import DEFAULT_MODEL
from serving.models.features import validated_rows
from serving.models.loaded_version import LoadedVersion, rule_of
from serving.models.runtime import ModelRuntime
from serving.models.serving_state import ServingState
from serving.observability import metrics
from serving.prediction_log import PredictionLog
from serving.predictor.feature_scoring import FeatureScorer
from serving.predictor.forecast_tables import ForecastTables, Snapshot, score_rows
from serving.predictor.key_result_answers import CachedForecast, KeyResultCycle, NoForecast, no_forecast
from serving.predictor.prediction import Prediction, of_features, of_key_result, served_event, served_events
from serving.predictor.shadow_predictions import ShadowPredictions
from serving.publication_reader import Published, Warehouse


@dataclass(frozen=True)
class Predicted:
    """Predictions in the order of the request. `model` is the version that predicts outside of experiments."""

    model: LoadedVersion
    answers: list[Prediction | NoForecast]


@dataclass(frozen=True)
class AllForecasts:
    """The forecasts of a publication, by key result and cycle.

    The forecasts are as of the newest data or, for a cycle that is over, as of the last check-ins in that cycle.
    """

    model: LoadedVersion
    by_key_result_cycle: Mapping[KeyResultCycle, CachedForecast]


class Predictor:
    """Serves the predictions of all models."""

    def __init__(  # noqa: PLR0913 -- its dependencies
        self,
        warehouse: Warehouse,
        runtime: ModelRuntime,
        tables: ForecastTables,
        log: PredictionLog,
        *,
        scorer: FeatureScorer,
        shadows: ShadowPredictions,
    ) -> None:
        self._warehouse = warehouse
        self._runtime = runtime
        self._tables = tables
        self._log = log
        self._scorer = scorer
        self._shadows = shadows
        self._hindsight: dict[str, Published[AllForecasts]] = {}
        self._computing_hindsight = threading.Lock()

    def predict(
        self,
        key_result_ids: Sequence[str],
        *,
        model_name: str = DEFAULT_MODEL,
        account: str | None = None,
        hidden: Set[str] = frozenset(),
    ) -> Published[Predicted]:
        """Forecast open key results in their current cycles, in the order of the ids.

        A key result that is unknown, archived or closed, or whose cycle is not running, gets a reason instead of a
        forecast. Key results in `hidden` are unknown to the caller.

        Raises:
            NotFound: there is no such model.
            NotApplicable: the model takes only named features.
            NotPublished: nothing has been published yet.
            NotPersisted: the forecasts could not be recorded.
        """
        state = self._runtime.state(model_name)
        active, snapshot = self._forecasting(model_name, state)
        publication = snapshot.publication
        answers: list[Prediction | NoForecast] = []
        for key_result_id in key_result_ids:
            answers_by_id = snapshot.tables[active.key].answers
            answer = None if key_result_id in hidden else answers_by_id.get(key_result_id)
            if not isinstance(answer, CachedForecast):
                answers.append(answer or no_forecast(key_result_id, None))
                continue
            units: UnitIds = {"key_result": key_result_id, "team": answer.team_id, "account": account}
            assigned, forecast = forecast_by_arm(
                key_result_id, answer, Assigned(active), predicting_arm(state, units), snapshot
            )
            prediction = of_key_result(key_result_id, forecast, assigned, publication.publication_id)
            answers.append(prediction)
            self._shadows.of_key_result(prediction, state, units, snapshot)
        self._record([answer for answer in answers if isinstance(answer, Prediction)], _validated_events)
        return Published(publication, Predicted(active, answers))

    def predict_features(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        model_name: str = DEFAULT_MODEL,
        account: str | None = None,
        explains: bool = True,
    ) -> Predicted:
        """Predict from named features, one row or many, in the order of the rows.

        Without `explains`, the predictions have neither reasons nor contributions.

        Raises:
            NotFound: there is no such model.
            InvalidFeatures: a feature is unknown, missing or out of bounds.
            NotServing: no version of the model can predict.
            NotPersisted: the predictions could not be recorded.
        """
        model = self._runtime.catalog.get(model_name)
        valid = validated_rows(rows, model.input)
        state = self._runtime.state(model_name)
        units: UnitIds = {"account": account}
        scored, assigned = self._scorer.score(valid, model, state, predicting_arm(state, units), explains=explains)
        predictions = [of_features(each, assigned) for each in scored]
        self._record(predictions, served_events)
        self._shadows.of_features(predictions, valid, state, units)
        return Predicted(assigned.version, list[Prediction | NoForecast](predictions))

    def all_current(self) -> Published[AllForecasts]:
        """Return the forecasts of all running key results of the current publication.

        These forecasts are shown only on pages and not served to apps, so they are not recorded as events.
        """
        active, snapshot = self._forecasting(DEFAULT_MODEL, self._runtime.state(DEFAULT_MODEL), is_current=True)
        return Published(snapshot.publication, AllForecasts(active, snapshot.tables[active.key].by_key_result_cycle))

    def all_in_hindsight(self, cycle_end: date) -> Published[AllForecasts]:
        """Return the last forecasts in a cycle that is over, by a model that was trained without its outcomes.

        If every available version was trained on a cycle that ended on `cycle_end` or later, use the active version.
        """
        version = self._runtime.active(DEFAULT_MODEL)
        if version.learned_from(cycle_end):
            holdout = self._runtime.holdout(DEFAULT_MODEL)
            version = holdout if holdout is not None and not holdout.learned_from(cycle_end) else version
        now = self._warehouse.publication()
        with self._computing_hindsight:
            self._hindsight = {key: each for key, each in self._hindsight.items() if each.publication == now}
            if version.key not in self._hindsight:
                read = version.model.key_result_rows
                rows = self._warehouse.read(lambda reader: [] if read is None else read(reader, None))
                forecasts = AllForecasts(version, score_rows(version, rows.value))
                self._hindsight[version.key] = Published(rows.publication, forecasts)
            return self._hindsight[version.key]

    def problem(self) -> str | None:
        """Return the reason why the version that should serve does not, or None if it serves."""
        return self._runtime.current(DEFAULT_MODEL).problem

    def _forecasting(
        self, model_name: str, state: ServingState, *, is_current: bool = False
    ) -> tuple[LoadedVersion, Snapshot]:
        """Return the version that forecasts key results outside of experiments, and the tables of all versions.

        If the active version fails on the publication's key results, the model's rule forecasts them.
        """
        model = self._runtime.catalog.get(model_name)
        if model.key_result_rows is None:
            raise NotApplicable(f'{model_name} takes named features ("features") instead of key result ids.')
        active = self._runtime.active(model_name)
        tables = self._tables.of_current_publication if is_current else self._tables.of
        snapshot = tables([active, *state.arms.values()])
        if active.key not in snapshot.tables:
            rule = rule_of(model)
            snapshot = tables([rule]) if rule is not None else snapshot
            if rule is None or rule.key not in snapshot.tables:
                raise NotServing(f"{model_name} fails to forecast the current key results; the log says why.")
            active = rule
        return active, snapshot

    def _record(
        self, served: Sequence[Prediction], events: Callable[[Sequence[Prediction]], list[EncodedEvent]]
    ) -> None:
        """Record the predictions as events. Unrecorded predictions are not served, because they could not be evaluated.

        Only predictions that violate their contract are served without being recorded. Such a violation is a bug, so it
        is logged.

        Raises:
            NotPersisted: the predictions could not be recorded.
        """
        try:
            self._log.append(events(served))
        except ContractViolation as error:
            get_logger(__name__).error("served predictions break their contract", reason=error.reason, error=str(error))
        except NotPersisted as error:
            raise NotPersisted(f"The forecasts could not be recorded, so they are not served. {error}") from error
        for prediction in served:
            if isinstance(probability := prediction.output.get("probability"), float):
                version = prediction.by.version
                metrics.SERVED_PROBABILITY.labels(version.name, version.role).observe(probability)


def _validated_events(served: Sequence[Prediction]) -> list[EncodedEvent]:
    return [served_event(prediction) for prediction in served]


def forecast_by_arm(
    key_result_id: str, answer: CachedForecast, active: Assigned, arm: Assigned | None, snapshot: Snapshot
) -> tuple[Assigned, CachedForecast]:
    """Return the forecast of the arm or, if the arm has none, of the active version."""
    table = None if arm is None else snapshot.tables.get(arm.version.key)
    found = None if table is None else table.answers.get(key_result_id)
    return (arm, found) if arm is not None and isinstance(found, CachedForecast) else (active, answer)
