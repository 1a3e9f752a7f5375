"""Which model answers: the registry's champion, looked up now and then; without one, the pacing rule."""

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

LOOK_EVERY_S = 10.0  # asking costs 0.05 s, and a promotion should be seen soon
FIRST_LOOK_S = 20.0  # a request of the first seconds waits this long for the first model

Role = Literal["champion", "challenger", "pacing_rule"]


@dataclass(frozen=True)
class ModelInUse:
    """The model that answers, under the name, version and role that its predictions carry.

    `trained_until`: the last day (ISO) of the newest cycle that it learned from; None for the rule.
    `outcomes_known_until`: when the last outcome that it learned from became known; None for the rule.
    """

    name: str
    version: str
    role: Role
    forecaster: Forecaster
    trained_until: str | None = None
    outcomes_known_until: datetime | None = None
    is_holdout_model: bool = False
    """Whether it is the version's twin that the promotion gate evaluated: same recipe, without the held-out cycle."""

    @property
    def key(self) -> str:
        """What distinguishes its forecasts from another model's, for caches."""
        return f"{self.name}/{self.version}{'/twin' if self.is_holdout_model else ''}"

    def learned_from(self, cycle_end: date) -> bool:
        """Whether it has learned from the outcomes of cycles that ended on a day."""
        return self.trained_until is not None and date.fromisoformat(self.trained_until) >= cycle_end


def _known_until(model: ForecastModel) -> datetime:
    """Return when the model's last outcome became known; a model without a record knew none after its last cycle."""
    if model.outcomes_known_until is not None:
        return datetime.fromisoformat(model.outcomes_known_until)
    return datetime.combine(date.fromisoformat(model.trained_until) + timedelta(days=1), time(), tzinfo=UTC)


PACING_RULE = ModelInUse("pacing_rule", "1", "pacing_rule", PacingRule())


class ActiveModel:
    """Keeps a model loaded. A thread looks at the registry, so that no request waits for it but the very first ones.

    `trouble` says why it is not the champion that answers, or that the registry cannot be asked; None if all is well.
    """

    def __init__(self, settings: Settings, look_every_s: float = LOOK_EVERY_S) -> None:
        self.settings = settings
        self.trouble: str | None = "The registry has not been asked yet."
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
        """Begin to look."""
        self.thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._stopping.set()

    @property
    def in_use(self) -> ModelInUse:
        """The model that would answer now, without waiting for a first one."""
        return self._in_use

    def answering(self) -> ModelInUse:
        """Return the model that answers now; in the first seconds, wait for the first look at the registry."""
        if self.thread.is_alive:
            self._looked.wait(FIRST_LOOK_S)
        return self._in_use

    def holdout_model(self) -> ModelInUse | None:
        """Return the twin of the model that answers which never saw the held-out cycle; None where there is none."""
        with self._looking:
            now = self._in_use
            if now.role == "pacing_rule":
                return None
            if self._holdout_model is None or self._holdout_model.version != now.version:
                try:
                    twin = model_registry.load(self.settings, now.version, "evaluated")
                except OkrError as error:
                    self._log.warning("the twin of the model is not loaded", version=now.version, error=str(error))
                    return None
                self._holdout_model = replace(
                    now, forecaster=twin, trained_until=twin.trained_until,
                    outcomes_known_until=_known_until(twin), is_holdout_model=True,
                )  # fmt: skip
            return self._holdout_model

    def load(self, reference: str) -> None:
        """Load an alias or a version now and keep to it.

        Raises:
            NotFound: the registry holds no such alias or version.
            RetryableError: the registry cannot be asked.
            NotLoadable: the version's files are missing, were changed or do not fit this code.
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
        """Ask the registry once and follow what it says; what answers stays in use while it cannot be asked."""
        with self._looking:
            try:
                self._follow(self._wanted, self._version_of(self._wanted))
            except Exception as error:  # whatever the registry's backend raises, this thread must live on
                self.trouble = f"The model {self._wanted!r} cannot be loaded now, so {self._in_use.name} answers."
                known = isinstance(error, OkrError)
                self._log.warning("model not loaded", error=str(error), exc_info=None if known else error)
            finally:
                self._looked.set()

    def _follow(self, reference: str, version: str | None) -> None:
        if version is None:
            self._in_use, self.trouble = PACING_RULE, "No model has been promoted yet: the pacing rule answers."
            return
        role: Role = "champion" if self._is_champion(reference, version) else "challenger"
        if (self._in_use.version, self._in_use.role) != (version, role):
            model = model_registry.load(self.settings, version)
            self._in_use = ModelInUse(MODEL_NAME, version, role, model, model.trained_until, _known_until(model))
            self._log.info("model loaded", version=version, role=role)
        self.trouble = None if role == "champion" else f"Version {version} was loaded by hand; it is not the champion."

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
