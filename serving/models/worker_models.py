"""Report the versions that this worker has loaded (serving.worker_model), and what all live workers have."""

from psycopg.types.json import Jsonb

from serving.models.control import PACKAGE
from serving.models.serving_state import ServingState
from serving.publication_reader import Reader, Row, Warehouse
from serving.workers.worker_registry import LIVE_S, WorkerRegistry


def report_model(warehouse: Warehouse, workers: WorkerRegistry, model_name: str, state: ServingState) -> None:
    """Store what this worker serves of a model. If the worker is not registered yet, it is registered first.

    Raises:
        RetryableError: PostgreSQL is unavailable.
    """
    arm_of = {version.key: arm for arm, version in state.arms.items()}
    active = None if state.active is None else state.active.key
    versions = [
        {
            "name": version.name,
            "version": version.version,
            "role": version.role,
            "is_active": version.key == active,
            "arm": arm_of.get(version.key),
            "loaded_at": version.loaded_at.isoformat(),
        }
        for version in state.versions
    ]
    workers.heartbeat()
    with warehouse.connection() as connection:
        values = {
            "worker_id": workers.worker_id,
            "model_name": model_name,
            "directive_id": state.directive.directive_id,
            "problem": state.why and " ".join(filter(None, (state.problem, state.why))),
            "versions": Jsonb(versions),
        }
        Reader(connection).execute(PACKAGE, "report", values)


def workers_of_model(warehouse: Warehouse, model_name: str) -> list[Row]:
    """Return the live workers, oldest first, with the versions of a model that each has loaded.

    Raises:
        RetryableError: PostgreSQL is unavailable.
    """
    with warehouse.connection() as connection:
        return Reader(connection).rows(PACKAGE, "workers_of_model", {"model_name": model_name, "live_s": LIVE_S})
