"""Create, start, stop and list experiments. The Admin API and `okr experiment` call these functions."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from lakehouse.errors import PermanentError
from lakehouse.settings import Settings
from ml import model_registry
from serving.errors import Conflict, NotApplicable, NotFound
from serving.experiments.experiment import Arm, Experiment, Guardrails, Unit, fault_of
from serving.models.catalog import DEFAULT_MODEL, Catalog
from serving.publication_reader import Reader, Row, Warehouse

PACKAGE = "serving.experiments"


@dataclass(frozen=True)
class ArmCounts:
    """Calls of an arm's model on all workers within the guardrails' window (the last `window_minutes`)."""

    arm: str
    calls: int
    failed_calls: int
    slow_calls: int


class Experiments:
    """The experiments of all models, in PostgreSQL. Every worker follows a change within about a second."""

    def __init__(self, settings: Settings, warehouse: Warehouse, catalog: Catalog) -> None:
        self._settings = settings
        self._warehouse = warehouse
        self._catalog = catalog

    def all(self) -> list[Experiment]:
        """Return all experiments, newest first."""
        return self._read(None)

    def get(self, name: str) -> Experiment:
        """Return an experiment.

        Raises:
            NotFound: no experiment has this name.
        """
        found = self._read(name)
        if not found:
            raise NotFound(f"There is no experiment {name!r}; `okr experiment list` lists them.")
        return found[0]

    def create(  # noqa: PLR0913 -- the fields of an experiment
        self,
        name: str,
        arms: Sequence[Arm],
        *,
        unit: Unit = "key_result",
        model_name: str = DEFAULT_MODEL,
        guardrails: Guardrails | None = None,
        salt: str | None = None,
        created_by: str,
    ) -> Experiment:
        """Define an experiment, without starting it. By default, the salt is random.

        Raises:
            NotFound: there is no such model.
            NotApplicable: the arms cannot form an experiment.
            Conflict: an experiment with this name already exists.
        """
        self._catalog.get(model_name)
        if fault := fault_of(tuple(arms)):
            raise NotApplicable(fault)
        values = {
            "name": name,
            "model_name": model_name,
            "unit": unit,
            "salt": salt or secrets.token_hex(8),
            "arms": Jsonb(msgspec.to_builtins(list(arms))),
            "guardrails": Jsonb(msgspec.to_builtins(guardrails or Guardrails())),
            "created_by": created_by,
        }
        try:
            with self._warehouse.connection() as connection:
                Reader(connection).execute(PACKAGE, "create_experiment", values)
        except psycopg.errors.UniqueViolation as error:
            raise Conflict(f"An experiment {name!r} already exists; choose another name.", []) from error
        return self.get(name)

    def start(self, name: str) -> Experiment:
        """Start an experiment whose arms all exist in the registry.

        Raises:
            NotFound: there is no such experiment, or the registry has no such version or alias.
            Conflict: it was started before, or another experiment with the same model is running.
        """
        experiment = self.get(name)
        for arm in experiment.arms:
            if model_registry.resolve(self._settings, arm.reference, experiment.model_name) is None:
                raise NotFound(
                    f"The registry has no version or alias {arm.reference!r} of {experiment.model_name} "
                    f"(arm {arm.name!r}); GET /models lists its versions."
                )
        try:
            started = self._execute("start_experiment", {"name": name})
        except psycopg.errors.UniqueViolation as error:
            raise Conflict(f"Another experiment with {experiment.model_name} is running; stop it first.", []) from error
        if not started:
            state = self.get(name).state
            advice = "was stopped; to run it again, create another one" if state == "stopped" else "is already running"
            raise Conflict(f"The experiment {name!r} {advice}.", [])
        return self.get(name)

    def stop(self, name: str, reason: str) -> Experiment:
        """Stop an experiment permanently. Stopping it again changes nothing.

        Raises:
            NotFound: there is no such experiment.
        """
        self._execute("stop_experiment", {"name": name, "reason": reason})
        return self.get(name)

    def recent_calls(self, experiment: Experiment) -> list[ArmCounts]:
        """Return the calls of each arm within the guardrails' window, on all workers."""
        window = {"experiment_id": experiment.experiment_id, "window_minutes": experiment.guardrails.window_minutes}
        with self._warehouse.connection() as connection:
            return [ArmCounts(**row) for row in Reader(connection).rows(PACKAGE, "recent_calls", window)]

    def _execute(self, query: str, values: Row) -> int:
        with self._warehouse.connection() as connection:
            return Reader(connection).execute(PACKAGE, query, values)

    def _read(self, name: str | None) -> list[Experiment]:
        with self._warehouse.connection() as connection:
            rows = Reader(connection).rows(PACKAGE, "experiments", {"name": name})
        return [msgspec.convert(row, Experiment) for row in rows]


def parsed_arm(text: str) -> Arm:
    """Parse an arm from `name=reference:share[:shadow]`, such as `new=challenger:0.5` or `next=7:1:shadow`.

    Raises:
        PermanentError: the text has another form, or the share is not a number above 0 and at most 1.
    """
    name, _, rest = text.partition("=")
    reference, *others = rest.split(":")
    expected = f"Expected an arm such as new=challenger:0.5 or next=7:1:shadow, got {text!r}."
    if not name or not reference or len(others) not in {1, 2} or others[1:] not in ([], ["shadow"]):
        raise PermanentError(expected)
    try:
        values = {"name": name, "reference": reference, "share": float(others[0]), "is_shadow": len(others) == 2}
        return msgspec.convert(values, Arm)
    except (ValueError, msgspec.ValidationError) as error:
        raise PermanentError(f"{expected} {error}") from error
