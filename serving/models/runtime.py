"""Load the versions that this worker needs: each model's active version, and the versions of running experiments."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

from lakehouse.background import BackgroundThread
from lakehouse.errors import OkrError, PermanentError
from lakehouse.logs import get_logger
from lakehouse.settings import Settings
from ml import model_registry
from serving.errors import NotLoadable, NotServing
from serving.experiments.experiment import Experiment
from serving.models.catalog import Catalog
from serving.models.control import CHAMPION, Control, Directive, read_control
from serving.models.loaded_version import LoadedVersion, load_holdout, load_trained, rule_of
from serving.models.served_model import ServedModel, Trained
from serving.models.serving_state import ServingState, first_state
from serving.models.worker_models import report_model
from serving.publication_reader import Warehouse
from serving.workers.worker_registry import WorkerRegistry

POLL_S = 1.0  # directives and experiments reach a worker within this time
LOOK_EVERY_S = 10.0  # promotions should take effect soon, and looking up an alias takes only 0.05 s
STOP_S = 2.0
FIRST_LOOK_S = 20.0  # requests wait at most this long for the first look-up
HOLDOUT_WAIT_S = 5.0  # for the thread, which may wait for a frozen registry

Prepare = Callable[[LoadedVersion], None]


class ModelRuntime:
    """Follows directives, aliases and experiments in a thread.

    If a version cannot be loaded, the previous one continues to serve.

    `prepare` is called with each version before it serves, and computes what requests need. It raises PermanentError if
    the version cannot serve.
    """

    def __init__(  # noqa: PLR0913 -- its dependencies
        self,
        settings: Settings,
        warehouse: Warehouse,
        catalog: Catalog,
        workers: WorkerRegistry,
        *,
        poll_s: float = POLL_S,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self.settings = settings
        self.catalog = catalog
        self.prepare: Prepare = lambda _version: None
        self._warehouse = warehouse
        self._workers = workers
        self._poll_s = poll_s
        self._look_every_s = look_every_s
        self._control = Control()
        self._states = {model.name: first_state(model) for model in catalog}
        self._trained: dict[tuple[str, str], Trained] = {}
        self._holdouts: dict[str, LoadedVersion] = {}
        self._looked_at: dict[str, float] = {}
        self._reported: dict[str, ServingState] = {}
        self._looked, self._wake, self._stopping = threading.Event(), threading.Event(), threading.Event()
        self._looking = threading.Lock()
        self.thread = BackgroundThread("models", self._run, self._stopping, state=settings.state)
        self._log = get_logger(__name__)

    def start(self) -> None:
        """Start the thread."""
        self.thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._stopping.set()
        self._wake.set()
        self.thread.join(STOP_S)

    def current(self, model_name: str) -> ServingState:
        """Return what this worker serves of a model, without waiting for the first look-up.

        Raises:
            NotFound: there is no such model.
        """
        return self._states[self.catalog.get(model_name).name]

    def state(self, model_name: str) -> ServingState:
        """Return what this worker serves of a model. During startup, wait for the first look-up.

        Raises:
            NotFound: there is no such model.
        """
        self.wait_for_first_look()
        return self.current(model_name)

    @property
    def has_looked(self) -> bool:
        """Whether the versions that should serve have been looked up at least once."""
        return self._looked.is_set()

    def wait_for_first_look(self) -> None:
        """During startup, wait until the thread has loaded the versions that should serve, at most FIRST_LOOK_S."""
        if self.thread.is_alive:
            self._looked.wait(FIRST_LOOK_S)

    def active(self, model_name: str) -> LoadedVersion:
        """Return the version that serves outside of experiments.

        Raises:
            NotFound: there is no such model.
            NotServing: no version is loaded.
        """
        state = self.state(model_name)
        if state.active is None:
            raise NotServing(f"No version of {model_name} serves. {state.problem or ''}".strip())
        return state.active

    def loaded(self) -> list[LoadedVersion]:
        """Return the loaded versions of all models."""
        return [version for state in self._states.values() for version in state.versions]

    def running_experiments(self) -> list[Experiment]:
        """Return the running experiments that this worker follows."""
        return [state.experiment for state in self._states.values() if state.experiment is not None]

    def holdout(self, model_name: str) -> LoadedVersion | None:
        """Return the active version's holdout model, or None if there is none or it cannot be loaded."""
        now, known = self._states[model_name].active, self._holdouts.get(model_name)
        if now is None or now.is_rule:
            return None
        if known is not None and known.version == now.version:
            return known
        if not self._looking.acquire(timeout=HOLDOUT_WAIT_S):
            self._log.warning("the holdout model is not loaded: the registry does not respond", version=now.version)
            return None
        try:
            trained = load_holdout(self.settings, now.model, now.version)
        except OkrError as error:
            self._log.warning("the holdout model is not loaded", version=now.version, error=str(error))
            return None
        finally:
            self._looking.release()
        known = self._holdouts[model_name] = replace(now, trained=trained, is_holdout_model=True)
        return known

    def try_load(self, model: ServedModel, version: str) -> None:
        """Load a version, without serving it yet.

        Raises:
            NotLoadable: the version's files are missing, changed, or incompatible with this code.
            RetryableError: the registry is unavailable.
        """
        with self._looking:
            try:
                self._load(model, version, CHAMPION)
            except PermanentError as error:
                self._log.warning("model not loaded", model=model.name, version=version, error=str(error))
                raise NotLoadable(f"Version {version} of {model.name} cannot be loaded. {error}") from error

    def wake(self) -> None:
        """Look for new directives and experiments now."""
        self._wake.set()

    def look(self) -> None:
        """Read and follow the directives and experiments, and report what is loaded. Errors leave the state as it was.

        Aliases are looked up every `look_every_s` seconds, and immediately after `wake` or if a directive or an
        experiment is new.
        """
        is_woken = self._wake.is_set()
        self._wake.clear()
        with self._looking:
            try:
                self._control = read_control(self._warehouse)
            except OkrError as error:
                self._log.warning("directives and experiments cannot be read; the last ones apply", error=str(error))
            try:
                for model in self.catalog:
                    self._look_at(model, is_woken)
            finally:
                self._looked.set()

    def _look_at(self, model: ServedModel, is_woken: bool) -> None:
        now = self._states[model.name]
        directive = self._control.directive_of(model.name)
        experiment = self._control.experiments.get(model.name)
        is_new = directive != now.directive or experiment != now.experiment
        is_due = time.monotonic() - self._looked_at.get(model.name, -self._look_every_s) >= self._look_every_s
        if is_new or is_due or is_woken:
            self._looked_at[model.name] = time.monotonic()
            followed = self._followed(model, now, directive, experiment)
            if followed != now:  # keep the same object, because others cache what they derive from it
                self._states[model.name] = followed
            self._forget_unused(model)
        if is_due or self._reported.get(model.name) != self._states[model.name]:
            self._report(model)

    def _followed(
        self, model: ServedModel, now: ServingState, directive: Directive, experiment: Experiment | None
    ) -> ServingState:
        state = self._with_active(model, replace(now, directive=directive, experiment=experiment))
        arms, why = {}, [] if state.why is None else [state.why]
        for arm in experiment.running_arms if experiment else ():
            try:
                arms[arm.name] = self._load(model, self._existing(model, arm.reference), arm.reference)
            except Exception as error:  # an arm that cannot be loaded must not stop the others
                self._warn(model, arm.reference, error)
                why.append(f"The arm {arm.name!r} ({arm.reference}) is not loaded: {error}")
        return replace(state, arms=MappingProxyType(arms), why=" ".join(why) or None)

    def _with_active(self, model: ServedModel, state: ServingState) -> ServingState:
        reference = state.directive.reference
        try:
            version = self._version_of(model, reference)
            if version is None and reference == CHAMPION:
                rule = state.active if state.active is not None and state.active.is_rule else rule_of(model)
                serves = "no version" if rule is None else f"the {rule.name.replace('_', ' ')}"
                problem = f"No model has been promoted yet, so {serves} serves."
                return replace(state, active=rule, problem=problem, why=None)
            active = self._load(model, version or self._existing(model, reference), reference)
        except Exception as error:  # the thread must survive any error in the registry's backend
            self._warn(model, reference, error)
            return replace(self._with_last(model, state), why=str(error))
        manual = f"Version {active.version} was loaded manually and is not the champion."
        return replace(state, active=active, problem=None if active.role == CHAMPION else manual, why=None)

    def _with_last(self, model: ServedModel, state: ServingState) -> ServingState:
        """Keep the last version. After a restart there is none, so use the champion instead of a pinned version."""
        active, reference = state.active, state.directive.reference
        if (active is None or active.is_rule) and reference != CHAMPION:
            try:
                champion = self._version_of(model, CHAMPION)
                active = self._load(model, champion, CHAMPION) if champion is not None else active
            except Exception as error:
                self._warn(model, CHAMPION, error)
        serves = "no version" if active is None else f"{active.name} {active.version}"
        return replace(
            state, active=active, problem=f"The version {reference!r} cannot be loaded now, so {serves} serves."
        )

    def _load(self, model: ServedModel, version: str, reference: str) -> LoadedVersion:
        key = model.name, version
        trained = self._trained.get(key)
        is_champion = reference == CHAMPION or self._version_of(model, CHAMPION) == version
        role = CHAMPION if is_champion else model_registry.CHALLENGER
        if trained is not None:
            for known in self._states[model.name].versions:
                if known.trained is trained:
                    return known if known.role == role else replace(known, role=role)
            return self._prepared(LoadedVersion(model, version, role, trained))
        loaded = self._prepared(LoadedVersion(model, version, role, load_trained(self.settings, model, version)))
        self._trained[key] = loaded.trained
        self._log.info("model loaded", model=model.name, version=version, role=role)
        return loaded

    def _prepared(self, version: LoadedVersion) -> LoadedVersion:
        self.prepare(version)
        return version

    def _version_of(self, model: ServedModel, reference: str) -> str | None:
        return model_registry.resolve(self.settings, reference, model.name)

    def _existing(self, model: ServedModel, reference: str) -> str:
        version = self._version_of(model, reference)
        if version is None:
            raise PermanentError(
                f"The registry has no version or alias {reference!r} of {model.name}; GET /models lists its versions."
            )
        return version

    def _forget_unused(self, model: ServedModel) -> None:
        """Drop versions that are neither active nor in an experiment."""
        used = {(model.name, version.version) for version in self._states[model.name].versions}
        self._trained = {key: each for key, each in self._trained.items() if key in used or key[0] != model.name}

    def _report(self, model: ServedModel) -> None:
        state = self._states[model.name]
        try:
            report_model(self._warehouse, self._workers, model.name, state)
        except OkrError as error:
            self._log.warning("the loaded versions are not reported", error=str(error))
        else:
            self._reported[model.name] = state

    def _warn(self, model: ServedModel, reference: str, error: Exception) -> None:
        is_expected = isinstance(error, OkrError)
        self._log.warning(
            "model not loaded", model=model.name, reference=reference, error=str(error),
            exc_info=None if is_expected else error,
        )  # fmt: skip

    def _run(self) -> None:
        for model in self.catalog:
            self._report(model)
        while not self._stopping.is_set():
            self.look()
            self.thread.report_success()
            self._wake.wait(self._poll_s)
