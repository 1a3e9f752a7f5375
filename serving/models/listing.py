"""List the served models with their registered versions, directives, experiments and the workers that loaded them."""

from collections.abc import Sequence
from dataclasses import dataclass

from lakehouse.errors import RetryableError
from ml import model_registry
from serving.models.runtime import ModelRuntime
from serving.models.served_model import ServedModel
from serving.models.serving_state import ServingState
from serving.models.worker_models import workers_of_model
from serving.processes.connection_gate import ConnectionGate
from serving.publication_reader import Row, Warehouse

MAX_READERS = 4  # concurrent queries to the registry, which may not respond
WAIT_S = 5.0


@dataclass(frozen=True)
class ListedModel:
    """A served model with its serving state on this worker, its registered versions, and all live workers."""

    model: ServedModel
    state: ServingState
    versions: Sequence[model_registry.Version]
    workers: Sequence[Row]


class ModelListing:
    """Reads the registry and the reports of all workers."""

    def __init__(self, warehouse: Warehouse, runtime: ModelRuntime) -> None:
        self._warehouse = warehouse
        self._runtime = runtime
        self._gate = ConnectionGate("The model registry", MAX_READERS, WAIT_S)

    def models(self) -> list[ListedModel]:
        """Return all served models.

        Raises:
            RetryableError: the registry or PostgreSQL is unavailable.
        """
        return [
            ListedModel(
                model,
                self._runtime.state(model.name),
                self._versions(model.name),
                workers_of_model(self._warehouse, model.name),
            )
            for model in self._runtime.catalog
        ]

    def _versions(self, model_name: str) -> Sequence[model_registry.Version]:
        with self._gate.passing():
            try:
                versions = model_registry.versions(self._runtime.settings, model_name)
            except RetryableError:
                self._gate.report_failure()
                raise
            self._gate.report_success()
            return versions
