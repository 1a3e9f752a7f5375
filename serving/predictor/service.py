"""Forecasts from the published feature mart: looked up or computed, then told to the log. Knows no HTTP."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from lakehouse.errors import ContractViolation
from lakehouse.ids import uuid7
from lakehouse.logs import get_logger
from ml import model_registry
from ml.feature_mart import read_current
from serving.errors import NotFound, NotPersisted
from serving.outbox import Outbox
from serving.predictor.active_model import ActiveModel, ModelInUse
from serving.predictor.cached_forecast import LEVEL, CachedForecast
from serving.predictor.forecast_cache import ForecastCache
from serving.predictor.prediction import Prediction, served_event
from serving.publication_reader import Publication, Published, PublishedReader, Row, Warehouse
from serving.status_explanations import NoForecastStatus, why_no_forecast

ROOM = "serving.predictor"
RUNNING = frozenset({"on_track", "at_risk", "off_track", "no_check_in"})


@dataclass(frozen=True)
class NoForecast:
    """Why a key result has no forecast, and how it ended where it is closed."""

    key_result_id: str
    status: NoForecastStatus
    detail: str
    final_score: float | None = None
    is_achieved: bool | None = None


@dataclass(frozen=True)
class Predicted:
    """Answers in the order of the ids asked for, and the one model that gave them."""

    model: ModelInUse
    answers: list[Prediction | NoForecast]


KeyResultCycle = tuple[str, str | None]  # key result and cycle


@dataclass(frozen=True)
class AllForecasts:
    """The latest forecast of every key result of a publication, by id and cycle: of what has ended, the last one."""

    model: ModelInUse
    by_key_result_cycle: dict[KeyResultCycle, CachedForecast]


@dataclass(frozen=True)
class ModelList:
    """The registry's versions and what answers now."""

    answering: ModelInUse
    trouble: str | None
    model_name: str
    versions: list[model_registry.Version]


class Predictor:
    """Answers forecasts. Every one that `predict` gives is also sent as okr.prediction.served.v1."""

    def __init__(self, warehouse: Warehouse, active_model: ActiveModel, cache: ForecastCache, outbox: Outbox) -> None:
        self._warehouse = warehouse
        self._active_model = active_model
        self._cache = cache
        self._outbox = outbox
        self._all: dict[str, Published[AllForecasts]] = {}
        self._computing_all = threading.Lock()

    def predict(self, key_result_ids: Sequence[str]) -> Published[Predicted]:
        """Forecast open key results in their current cycles; the answer keeps the order of the ids.

        What is unknown, archived, closed or over gets the reason instead: no outcome is ever forecast after the fact.

        Raises:
            NotPublished: nothing has been published yet.
            NotPersisted: the forecasts could not be recorded.
        """
        model = self._active_model.answering()
        distinct = list(dict.fromkeys(key_result_ids))
        found = self._warehouse.read(lambda reader: self._look_up(reader, model, distinct))
        kept, computed, missing = found.value
        # Only now is it certain that the rows were this publication's.
        self._cache.put(found.publication.publication_id, model.key, computed)
        forecasts = kept | computed
        answers = [missing[one] if one in missing else _prediction(one, forecasts[one]) for one in key_result_ids]
        served = [answer for answer in answers if isinstance(answer, Prediction)]
        self._tell(served, model, found.publication)
        return Published(found.publication, Predicted(model, answers))

    def all_current(self) -> Published[AllForecasts]:
        """Return the latest forecast of every key result, computed once per publication and model.

        These are for pages: they are looked at, not served to an app, so they are not sent as events.
        """
        return self._all_by(self._active_model.answering())

    def all_in_hindsight(self, cycle_end: date) -> Published[AllForecasts]:
        """Return the last forecasts of ended key results by a model that never saw their outcomes.

        Where every model has learned from cycles that ended on `cycle_end`, the one that answers is taken.
        """
        model = self._active_model.answering()
        if model.learned_from(cycle_end):
            twin = self._active_model.holdout_model()
            model = twin if twin is not None and not twin.learned_from(cycle_end) else model
        return self._all_by(model)

    def _all_by(self, model: ModelInUse) -> Published[AllForecasts]:
        now = self._warehouse.publication()
        with self._computing_all:
            self._all = {key: kept for key, kept in self._all.items() if kept.publication == now}
            if model.key not in self._all:
                rows = self._warehouse.read(lambda reader: read_current(reader.connection))
                self._all[model.key] = Published(rows.publication, AllForecasts(model, _forecast(model, rows.value)))
            return self._all[model.key]

    def trouble(self) -> str | None:
        """Say why it is not the champion that answers; None if it is."""
        return self._active_model.trouble

    def models(self) -> ModelList:
        """List the registry's versions and what answers.

        Raises:
            RetryableError: the registry cannot be asked.
        """
        answering = self._active_model.answering()
        return ModelList(
            answering,
            self._active_model.trouble,
            model_registry.MODEL_NAME,
            model_registry.versions(self._active_model.settings),
        )

    def load(self, name: str, alias: str | None, version: str | None) -> None:
        """Load a version of the model now, by alias or by number.

        Raises:
            NotFound: no such model, alias or version.
            RetryableError: the registry cannot be asked.
        """
        if name != model_registry.MODEL_NAME:
            raise NotFound(f"This service answers by the model {model_registry.MODEL_NAME!r}; there is no {name!r}.")
        self._active_model.load(alias or version or "")

    def _look_up(
        self, reader: PublishedReader, model: ModelInUse, ids: list[str]
    ) -> tuple[dict[str, CachedForecast], dict[str, CachedForecast], dict[str, NoForecast]]:
        kept = self._cache.get(reader.publication.publication_id, model.key, ids)
        absent = [one for one in ids if one not in kept]
        if not absent:
            return kept, {}, {}
        known = {row["key_result_id"]: row for row in reader.rows(ROOM, "key_results", {"key_result_ids": absent})}
        running = [one for one in absent if one in known and known[one]["status"] in RUNNING]
        rows = read_current(reader.connection, running) if running else []
        places = {(one, known[one]["cycle_id"]) for one in running}
        forecasts = _forecast(model, [row for row in rows if (row["key_result_id"], row["cycle_id"]) in places])
        computed = {key_result_id: forecast for (key_result_id, _), forecast in forecasts.items()}
        return kept, computed, {one: _no_forecast(one, known.get(one)) for one in absent if one not in computed}

    def _tell(self, served: list[Prediction], model: ModelInUse, publication: Publication) -> None:
        """Keep what is answered for the log: a forecast that nobody could later hold against its outcome is not given.

        Raises:
            NotPersisted: it could not be kept.
        """
        try:
            self._outbox.post([served_event(prediction, model, publication) for prediction in served])
        except ContractViolation as error:
            # The caller's answer does not depend on our log, but a forecast out of its bounds is a fault of ours.
            get_logger(__name__).error("served predictions break their contract", reason=error.reason, error=str(error))
        except NotPersisted as error:
            raise NotPersisted(f"The forecasts could not be recorded, so they are not given. {error}") from error


def _forecast(model: ModelInUse, rows: list[Row]) -> dict[KeyResultCycle, CachedForecast]:
    if not rows:
        return {}
    return {
        (row["key_result_id"], row["cycle_id"]): CachedForecast(
            row["as_of"], forecast.probability, forecast.low, forecast.high, tuple(forecast.reasons), row["cycle_id"]
        )
        for row, forecast in zip(rows, model.forecaster.forecast(rows), strict=True)
    }


def _prediction(key_result_id: str, forecast: CachedForecast) -> Prediction:
    return Prediction(
        key_result_id=key_result_id,
        prediction_id=str(uuid7()),
        as_of=forecast.as_of,
        probability=forecast.probability,
        low=forecast.low,
        high=forecast.high,
        level=LEVEL,
        reasons=forecast.reasons,
        cycle_id=forecast.cycle_id,
    )


def _no_forecast(key_result_id: str, known: Row | None) -> NoForecast:
    status, detail = why_no_forecast(known)
    final_score, is_achieved = (known["final_score"], known["is_achieved"]) if known else (None, None)
    return NoForecast(key_result_id, status, detail, final_score, is_achieved)
