"""The active model, which serves forecasts. It is the champion, looked up every few seconds, or the pacing rule."""

import threading
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from lakehouse.background import BackgroundThread
from lakehouse.errors import OkrError, PermanentError
from lakehouse.logs import get_logger
from lakehouse.settings import Settings
from ml import model_registry
from ml.champion import CHAMPION, champion_version
from ml.forecast_model import ForecastModel
from ml.forecaster_protocol import Forecaster
from ml.model_registry import MODEL_NAME
from ml.pacing_rule import PacingRule
from serving.errors import NotFound, NotLoadable

LOOK_EVERY_S = 10.0  # promotions should take effect soon, and a look-up takes only 0.05 s
FIRST_LOOK_S = 20.0  # requests wait at most this long for the first look-up

Role = Literal["champion", "challenger", "pacing_rule"]


@dataclass(frozen=True)
class ModelInUse:
    """A forecaster with the name, version and role that are recorded with its predictions.

    `trained_until` is the last day (ISO) of the newest cycle that it was trained on. `outcomes_known_until` is the time
    at which the last of its training outcomes became known. Both are None for the pacing rule.
    """

    name: str
    version: str
    role: Role
    forecaster: Forecaster
    trained_until: str | None = None
    outcomes_known_until: datetime | None = None
    is_holdout_model: bool = False
    """Whether this is the version's holdout model, trained without the held-out cycle for the promotion gate."""

    @property
    def key(self) -> str:
        """Cache key of this model's forecasts."""
        return f"{self.name}/{self.version}{'/holdout' if self.is_holdout_model else ''}"

    def learned_from(self, cycle_end: date) -> bool:
        """Whether the model was trained on cycles that ended on `cycle_end`."""
        return self.trained_until is not None and date.fromisoformat(self.trained_until) >= cycle_end


def _known_until(model: ForecastModel) -> datetime:
    """Return when the model's last training outcome became known; for older models, the day after the last cycle."""
    if model.outcomes_known_until is not None:
        return datetime.fromisoformat(model.outcomes_known_until)
    return datetime.combine(date.fromisoformat(model.trained_until) + timedelta(days=1), time(), tzinfo=UTC)


PACING_RULE = ModelInUse("pacing_rule", "1", "pacing_rule", PacingRule())


class ActiveModel:
    """Keeps a model loaded. A thread looks up the champion, so only the first requests wait for the registry.

    `problem` explains why the champion is not serving or could not be looked up. It is None if there is no problem.
    """

    def __init__(self, settings: Settings, look_every_s: float = LOOK_EVERY_S) -> None:
        self.settings = settings
        self.problem: str | None = "The champion has not been looked up yet."
        self._look_every_s = look_every_s
        self._wanted = CHAMPION
        self._in_use = PACING_RULE
        self._holdout_model: ModelInUse | None = None
        self._looked = threading.Event()
        self._stopping = threading.Event()
        self._looking = threading.Lock()
        self.thread = BackgroundThread("champion", self._run, self._stopping, state=settings.state)
        self._log = get_logger(__name__)

    def start(self) -> None:
        """Start the thread that looks up the champion."""
        self.thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._stopping.set()

    @property
    def in_use(self) -> ModelInUse:
        """The active model. This property does not wait for the first look-up."""
        return self._in_use

    @property
    def has_looked(self) -> bool:
        """Whether the champion has been looked up at least once."""
        return self._looked.is_set()

    def active(self) -> ModelInUse:
        """Return the active model. During startup, wait for the first look-up."""
        if self.thread.is_alive:
            self._looked.wait(FIRST_LOOK_S)
        return self._in_use

    def holdout_model(self) -> ModelInUse | None:
        """Return the active version's holdout model, or None if there is none or it cannot be loaded."""
        with self._looking:
            now = self._in_use
            if now.role == "pacing_rule":
                return None
            if self._holdout_model is None or self._holdout_model.version != now.version:
                try:
                    model = model_registry.load(self.settings, now.version, "evaluated")
                except OkrError as error:
                    self._log.warning("the holdout model is not loaded", version=now.version, error=str(error))
                    return None
                self._holdout_model = replace(
                    now, forecaster=model, trained_until=model.trained_until,
                    outcomes_known_until=_known_until(model), is_holdout_model=True,
                )  # fmt: skip
            return self._holdout_model

    def load(self, reference: str) -> None:
        """Load the version with this alias or number, and keep following that alias or number.

        Raises:
            NotFound: the registry has no such alias or version.
            RetryableError: the registry is unavailable.
            NotLoadable: the version's files are missing, changed, or incompatible with this code.
        """
        with self._looking:
            version = self._version_of(reference)
            if version is None:
                raise NotFound(f"The registry has no {reference!r} of {MODEL_NAME}; GET /models lists its versions.")
            try:
                self._follow(reference, version)
            except PermanentError as error:
                self._log.warning("model not loaded", version=version, error=str(error))
                raise NotLoadable(
                    f"Version {version} of {MODEL_NAME} cannot be loaded: incompatible code trained it, or its files "
                    "changed after it was registered. The log says which. Train again."
                ) from error
            self._wanted = reference

    def look(self) -> None:
        """Look up the version to serve and load it. While the registry is unavailable, keep the active model."""
        with self._looking:
            try:
                self._follow(self._wanted, self._version_of(self._wanted))
            except Exception as error:  # the thread must survive any error in the registry's backend
                self.problem = f"The model {self._wanted!r} cannot be loaded now, so {self._in_use.name} serves."
                is_expected = isinstance(error, OkrError)
                self._log.warning("model not loaded", error=str(error), exc_info=None if is_expected else error)
            finally:
                self._looked.set()

    def _follow(self, reference: str, version: str | None) -> None:
        if version is None:
            self._in_use, self.problem = PACING_RULE, "No model has been promoted yet, so the pacing rule serves."
            return
        role: Role = "champion" if self._is_champion(reference, version) else "challenger"
        if (self._in_use.version, self._in_use.role) != (version, role):
            model = model_registry.load(self.settings, version)
            self._in_use = ModelInUse(MODEL_NAME, version, role, model, model.trained_until, _known_until(model))
            self._log.info("model loaded", version=version, role=role)
        self.problem = None if role == "champion" else f"Version {version} was loaded manually and is not the champion."

    def _is_champion(self, reference: str, version: str) -> bool:
        return reference == CHAMPION or champion_version(self.settings) == version

    def _version_of(self, reference: str) -> str | None:
        if reference == CHAMPION:
            return champion_version(self.settings)
        return model_registry.resolve(self.settings, reference)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.look()
            self.thread.report_success()
            self._stopping.wait(self._look_every_s)
