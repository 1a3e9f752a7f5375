"""Serve forecasts from the published feature mart: read them from the cache or compute them, then record them.

This module does not depend on HTTP.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from lakehouse.errors import ContractViolation
from lakehouse.ids import uuid7
from lakehouse.logs import get_logger
from ml import model_registry
from ml.feature_mart import read_current
from ml.score_interval import INTERVAL_LEVEL
from serving import metrics
from serving.errors import NotFound, NotPersisted
from serving.prediction_log import PredictionLog
from serving.predictor.active_model import ActiveModel, ModelInUse
from serving.predictor.cached_forecast import CachedForecast
from serving.predictor.forecast_cache import ForecastCache
from serving.predictor.prediction import Prediction, served_event
from serving.publication_reader import Publication, Published, PublishedReader, Row, Warehouse
from serving.status_explanations import NoForecastStatus, why_no_forecast

PACKAGE = "serving.predictor"
RUNNING = frozenset({"on_track", "at_risk", "off_track", "no_check_in"})


@dataclass(frozen=True)
class NoForecast:
    """The reason why a key result has no forecast, with the outcome if it is closed."""

    key_result_id: str
    status: NoForecastStatus
    detail: str
    final_score: float | None = None
    is_achieved: bool | None = None


@dataclass(frozen=True)
class Predicted:
    """Predictions in the order of the requested ids, all from the same model."""

    model: ModelInUse
    answers: list[Prediction | NoForecast]


KeyResultCycle = tuple[str, str | None]  # the ids of a key result and a cycle


@dataclass(frozen=True)
class AllForecasts:
    """The latest forecasts of a publication, by key result and cycle. In an ended cycle, this is the last forecast."""

    model: ModelInUse
    by_key_result_cycle: dict[KeyResultCycle, CachedForecast]


@dataclass(frozen=True)
class ModelList:
    """The registered versions and the active model."""

    active: ModelInUse
    problem: str | None
    model_name: str
    versions: list[model_registry.Version]


class Predictor:
    """Serves forecasts. Every forecast that `predict` returns is also sent as an event (okr.prediction.served.v1)."""

    def __init__(
        self, warehouse: Warehouse, active_model: ActiveModel, cache: ForecastCache, log: PredictionLog
    ) -> None:
        self._warehouse = warehouse
        self._active_model = active_model
        self._cache = cache
        self._log = log
        self._all: dict[str, Published[AllForecasts]] = {}
        self._computing_all = threading.Lock()

    def predict(self, key_result_ids: Sequence[str]) -> Published[Predicted]:
        """Forecast open key results in their current cycles, in the order of the ids.

        An unknown, archived, closed or ended key result gets a reason instead of a forecast.

        Raises:
            NotPublished: nothing has been published yet.
            NotPersisted: the forecasts could not be recorded.
        """
        model = self._active_model.active()
        distinct = list(dict.fromkeys(key_result_ids))
        found = self._warehouse.read(lambda reader: self._look_up(reader, model, distinct))
        cached, computed, missing = found.value
        # The publication that the rows belong to is known only after the read.
        self._cache.put(found.publication.publication_id, model.key, computed)
        forecasts = cached | computed
        answers = [missing[one] if one in missing else _prediction(one, forecasts[one]) for one in key_result_ids]
        served = [answer for answer in answers if isinstance(answer, Prediction)]
        self._record(served, model, found.publication)
        distribution = metrics.SERVED_PROBABILITY.labels(model.name, model.role)
        for prediction in served:
            distribution.observe(prediction.probability)
        return Published(found.publication, Predicted(model, answers))

    def all_current(self) -> Published[AllForecasts]:
        """Return the latest forecasts of all key results, computed once per publication and model.

        These forecasts are shown only on pages and not served to apps, so they are not sent as events.
        """
        return self._all_by(self._active_model.active())

    def all_in_hindsight(self, cycle_end: date) -> Published[AllForecasts]:
        """Return the last forecasts of ended key results by a model that was trained without their outcomes.

        If every available model was trained on cycles that ended on `cycle_end`, use the active model.
        """
        model = self._active_model.active()
        if model.learned_from(cycle_end):
            holdout = self._active_model.holdout_model()
            model = holdout if holdout is not None and not holdout.learned_from(cycle_end) else model
        return self._all_by(model)

    def _all_by(self, model: ModelInUse) -> Published[AllForecasts]:
        now = self._warehouse.publication()
        with self._computing_all:
            self._all = {key: each for key, each in self._all.items() if each.publication == now}
            if model.key not in self._all:
                rows = self._warehouse.read(lambda reader: read_current(reader.connection))
                self._all[model.key] = Published(rows.publication, AllForecasts(model, _forecast(model, rows.value)))
            return self._all[model.key]

    def problem(self) -> str | None:
        """Return the reason why the champion is not serving, or None if it is."""
        return self._active_model.problem

    def models(self) -> ModelList:
        """Return the registered versions and the active model.

        Raises:
            RetryableError: the registry is unavailable.
        """
        active = self._active_model.active()
        return ModelList(
            active,
            self._active_model.problem,
            model_registry.MODEL_NAME,
            model_registry.versions(self._active_model.settings),
        )

    def load(self, name: str, alias: str | None, version: str | None) -> None:
        """Load a version of the model now, by alias or by number.

        Raises:
            NotFound: there is no such model, alias or version.
            RetryableError: the registry is unavailable.
        """
        if name != model_registry.MODEL_NAME:
            raise NotFound(f"This service has only the model {model_registry.MODEL_NAME!r}, not {name!r}.")
        self._active_model.load(alias or version or "")

    def _look_up(
        self, reader: PublishedReader, model: ModelInUse, ids: list[str]
    ) -> tuple[dict[str, CachedForecast], dict[str, CachedForecast], dict[str, NoForecast]]:
        cached = self._cache.get(reader.publication.publication_id, model.key, ids)
        absent = [one for one in ids if one not in cached]
        if not absent:
            return cached, {}, {}
        known = {row["key_result_id"]: row for row in reader.rows(PACKAGE, "key_results", {"key_result_ids": absent})}
        running = [one for one in absent if one in known and known[one]["status"] in RUNNING]
        rows = read_current(reader.connection, running) if running else []
        current_cycles = {(one, known[one]["cycle_id"]) for one in running}
        forecasts = _forecast(model, [row for row in rows if (row["key_result_id"], row["cycle_id"]) in current_cycles])
        computed = {key_result_id: forecast for (key_result_id, _), forecast in forecasts.items()}
        return cached, computed, {one: _no_forecast(one, known.get(one)) for one in absent if one not in computed}

    def _record(self, served: list[Prediction], model: ModelInUse, publication: Publication) -> None:
        """Record the predictions as events. If this fails, they are not served, because they could not be scored later.

        Raises:
            NotPersisted: a prediction could not be recorded.
        """
        try:
            self._log.append([served_event(prediction, model, publication) for prediction in served])
        except ContractViolation as error:
            # The caller still gets the response, but an out-of-bounds forecast is a bug.
            get_logger(__name__).error("served predictions break their contract", reason=error.reason, error=str(error))
        except NotPersisted as error:
            raise NotPersisted(f"The forecasts could not be recorded, so they are not served. {error}") from error


def _forecast(model: ModelInUse, rows: list[Row]) -> dict[KeyResultCycle, CachedForecast]:
    if not rows:
        return {}
    with metrics.MODEL_SECONDS.labels(model.name).time():
        forecasts = model.forecaster.forecast(rows)
    metrics.MODEL_ROWS.labels(model.name).inc(len(rows))
    return {
        (row["key_result_id"], row["cycle_id"]): CachedForecast(
            row["as_of"], forecast.probability, forecast.low, forecast.high, tuple(forecast.reasons), row["cycle_id"]
        )
        for row, forecast in zip(rows, forecasts, strict=True)
    }


def _prediction(key_result_id: str, forecast: CachedForecast) -> Prediction:
    return Prediction(
        key_result_id=key_result_id,
        prediction_id=str(uuid7()),
        as_of=forecast.as_of,
        probability=forecast.probability,
        low=forecast.low,
        high=forecast.high,
        level=INTERVAL_LEVEL,
        reasons=forecast.reasons,
        cycle_id=forecast.cycle_id,
    )


def _no_forecast(key_result_id: str, known: Row | None) -> NoForecast:
    status, detail = why_no_forecast(known)
    final_score, is_achieved = (known["final_score"], known["is_achieved"]) if known else (None, None)
    return NoForecast(key_result_id, status, detail, final_score, is_achieved)
