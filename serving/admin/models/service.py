"""Models for operators: load a version, promote one to champion, roll back. This module does not use FastAPI.

The promotion gate needs scikit-learn, which the API does not import, so model_promotion_dag runs it in Airflow.
"""

from dataclasses import dataclass

from lakehouse.settings import Settings
from ml import champion
from ml.champion import Champions
from serving.admin.changes import Changes, Operator
from serving.admin.dag_runs.service import DagRunOperations
from serving.dag_runs.service import DagRuns, Run, StartedRun
from serving.errors import NotApplicable
from serving.models.catalog import DEFAULT_MODEL, Catalog
from serving.models.control import read_control
from serving.models.loading import LoadOutcome, ModelLoading
from serving.publication_reader import Warehouse

PROMOTION_DAG, PROMOTION_TASK = "model_promotion_dag", "promote"


@dataclass(frozen=True)
class Rollback:
    """The champions before and after a rollback."""

    before: Champions
    champion: str
    is_changed: bool


@dataclass(frozen=True)
class Promotion:
    """A run of the promotion gate; its outcome (promoted, kept, withdrawn or rejected) and reason once it has ended."""

    run: Run
    outcome: str | None
    reason: str | None


class ModelOperations:
    """Changes which versions serve."""

    def __init__(  # noqa: PLR0913 -- what it needs
        self,
        settings: Settings,
        warehouse: Warehouse,
        catalog: Catalog,
        loading: ModelLoading,
        *,
        dag_runs: DagRuns,
        changes: Changes,
    ) -> None:
        self._settings = settings
        self._warehouse = warehouse
        self._catalog = catalog
        self._loading = loading
        self._dag_runs = dag_runs
        self._dag_run_operations = DagRunOperations(dag_runs, changes)
        self._changes = changes

    def load(self, model_name: str, reference: str, operator: Operator) -> LoadOutcome:
        """Make all workers serve a version; raises the errors of `ModelLoading.load`."""
        with self._changes.recorded(operator, "model.loaded", model_name) as details:
            before = read_control(self._warehouse).directive_of(model_name).reference
            details |= {"reference": reference, "reference_before": before}
            outcome = self._loading.load(model_name, reference, operator.name)
            details |= {"version": outcome.version, "is_loaded": outcome.is_loaded}
        return outcome

    def champions(self, model_name: str) -> Champions:
        """Return the current champion and the earlier ones.

        Raises:
            NotFound: there is no such model.
            NotApplicable: no gate promotes versions of this model.
            NotPossible: there is no champion.
            RetryableError: the registry is unavailable.
        """
        self._check_promoted(model_name)
        return champion.champions(self._settings)

    def roll_back(self, model_name: str, to: str, operator: Operator) -> Rollback:
        """Make an earlier champion the champion again. Repeating it changes nothing.

        Raises:
            NotFound, NotApplicable, RetryableError: as in `champions`.
            NotPossible: there is no champion, or `to` is not an earlier one.
        """
        self._check_promoted(model_name)
        with self._changes.recorded(operator, "model.rolled_back", model_name) as details:
            details["to"] = to
            before = champion.champions(self._settings)
            is_changed = champion.rollback(self._settings, to)
            details |= {"champion_before": before.current, "is_changed": is_changed}
        return Rollback(before, to, is_changed)

    def promote(self, model_name: str, version: str, operator: Operator, idempotency_key: str | None) -> StartedRun:
        """Start a run of the promotion gate for a version, which decides whether it becomes the champion.

        Raises:
            NotFound, NotApplicable: as in `champions`.
            NotPossible, Conflict, NotConfigured, RetryableError: as in `DagRuns.start`.
        """
        self._check_promoted(model_name)
        return self._dag_run_operations.start(PROMOTION_DAG, {"version": version}, operator, idempotency_key)

    def promotion(self, model_name: str, run_id: str) -> Promotion:
        """Return the state of a run of the promotion gate.

        Raises:
            NotFound: there is no such model or run.
            NotApplicable, NotConfigured, RetryableError: as in `promote`.
        """
        self._check_promoted(model_name)
        watched = self._dag_runs.watch(PROMOTION_DAG, run_id)
        if watched.run.state == "success":
            outcome, reason = (
                self._dag_runs.result(PROMOTION_DAG, run_id, PROMOTION_TASK, key) for key in ("return_value", "reason")
            )
            return Promotion(watched.run, outcome, reason)
        failed = next((task.reason for task in watched.tasks if task.reason), None)
        return Promotion(watched.run, None, failed)

    def _check_promoted(self, model_name: str) -> None:
        if self._catalog.get(model_name).name != DEFAULT_MODEL:
            raise NotApplicable(
                f"Only {DEFAULT_MODEL} has a promotion gate. POST /models/{model_name}/load selects the version that "
                "serves."
            )
