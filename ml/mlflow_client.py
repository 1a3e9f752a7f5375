"""A client for MLflow's store that raises this project's errors, and functions that look up or create registry objects.

The functions handle objects that users have deleted in MLflow's UI, and concurrent training jobs that create the same
object.
"""

import importlib
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lakehouse.connection_limits import Limits
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.logs import get_logger
from lakehouse.settings import Settings
from lakehouse.warehouse import sqlalchemy_url

LIMITS = Limits(statement_s=8, lock_s=8, idle_s=60, grace_s=2)  # requests to the API wait for the registry, too
# Without this lock, threads that import MLflow or SQLAlchemy concurrently may see a partly initialized module.
IMPORT_LOCK = threading.Lock()
STORE_UNAVAILABLE = "MLflow's store does not respond. Is the stack up (`make status`)?"
NOT_FOUND_CODES = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}  # no such model, version or alias


def store_uri(settings: Settings) -> str:
    """Return the store's connection URL. For PostgreSQL, it includes the connection limits (`LIMITS`)."""
    store = settings.require("mlflow_store_uri")
    if not store.startswith("postgresql"):
        return store
    from lakehouse.response_timeouts import with_response_timeout  # imports SQLAlchemy

    return with_response_timeout(sqlalchemy_url(store, "okr-registry", limits=LIMITS), LIMITS)


def _import_mlflow() -> None:
    """Import MLflow with its stores, which MlflowClient would otherwise import when it is created.

    If an import fails, for instance because another thread imports a package that both need, some of MLflow's modules
    stay loaded. With these, each later import of MLflow fails as well, so they are unloaded first.
    """
    try:
        importlib.import_module("mlflow")
    except (ImportError, AttributeError):
        for name in [name for name in sys.modules if name.partition(".")[0] == "mlflow"]:
            del sys.modules[name]
        importlib.import_module("mlflow")
    for name in ("mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store"):
        importlib.import_module(name)


@contextmanager
def client(settings: Settings) -> Iterator[Any]:
    """Yield an MlflowClient for the store, with telemetry disabled.

    Raises:
        RetryableError: the store cannot be reached.
        PermanentError: MLflow rejects a request; the error includes MLflow's message.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # must be set before mlflow is imported
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    with IMPORT_LOCK:
        _import_mlflow()
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import DBAPIError, OperationalError

        store = store_uri(settings)
    try:
        yield MlflowClient(tracking_uri=store, registry_uri=store)
    except OperationalError as error:
        raise RetryableError(STORE_UNAVAILABLE) from error
    except DBAPIError as error:
        raise PermanentError(f"MLflow's store rejected a statement: {_first_line(error.orig)}.") from error
    except MlflowException as error:
        if error.error_code == "TEMPORARILY_UNAVAILABLE" or isinstance(error.__cause__, OperationalError):
            raise RetryableError(STORE_UNAVAILABLE) from error
        raise PermanentError(
            f"MLflow rejected the request: {_first_line(error)} `okr forecast models` lists the registered versions."
        ) from error


def active_experiment(mlflow: Any, name: str, artifacts: str) -> str:
    """Return the id of an experiment. Create it if it is missing, and restore it if it was deleted in MLflow's UI.

    A deleted experiment keeps its name. It accepts no runs, and no other experiment can be created with that name
    (mlflow issue 2690, Lightning-AI/pytorch-lightning pull 20556).
    """
    from mlflow.exceptions import MlflowException

    experiment = mlflow.get_experiment_by_name(name)
    if experiment is None:
        location = artifacts if "://" in artifacts else Path(artifacts).absolute().as_uri()
        try:
            return str(mlflow.create_experiment(name, artifact_location=location))
        except MlflowException as error:
            # Another training job created it first.
            experiment = mlflow.get_experiment_by_name(name) if error.error_code == "RESOURCE_ALREADY_EXISTS" else None
            if experiment is None:
                raise
    if experiment.lifecycle_stage != "active":
        get_logger(__name__).warning("restoring a deleted experiment, with its runs", experiment=name)
        mlflow.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)


def registered_model(mlflow: Any, name: str) -> Any | None:
    """Return a registered model, or None if it does not exist."""
    return _or_none(lambda: mlflow.get_registered_model(name))


def create_registered_model_once(mlflow: Any, name: str, description: str) -> None:
    """Create a registered model unless it already exists or another training job creates it concurrently."""
    from mlflow.exceptions import MlflowException

    if registered_model(mlflow, name) is not None:
        return
    try:
        mlflow.create_registered_model(name, description=description)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def set_alias(mlflow: Any, name: str, alias: str, version: str) -> None:
    """Point an alias at a version.

    MLflow reads the alias and then inserts or updates it. If two processes insert a new alias concurrently, one fails;
    its second attempt updates the row.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import IntegrityError

    try:
        mlflow.set_registered_model_alias(name, alias, version)
    except MlflowException as error:
        if not isinstance(error.__cause__, IntegrityError):
            raise
        mlflow.set_registered_model_alias(name, alias, version)


def find_version(mlflow: Any, name: str, reference: str) -> Any | None:
    """Return the version with this alias or number, or None if there is none."""
    if reference.isdigit():
        return _or_none(lambda: mlflow.get_model_version(name, reference))
    return _or_none(lambda: mlflow.get_model_version_by_alias(name, reference))


def run_metrics(mlflow: Any, run_id: str | None) -> dict[str, float]:
    """Return the metrics of a run. They are empty if the version has no run or its run has been deleted."""
    run = _or_none(lambda: mlflow.get_run(run_id)) if run_id else None
    return {} if run is None else dict(run.data.metrics)


def artifacts(mlflow: Any, model_version: Any, part: str) -> Path:
    """Return the local folder with one part of a version's files (`model` or `evaluated`).

    Raises:
        PermanentError: the version has no run, or its files are missing.
    """
    from mlflow.exceptions import MlflowException

    advice = "Train again: `okr forecast train`."
    version = f"{model_version.version} of {model_version.name}"
    if not model_version.run_id:
        raise PermanentError(
            f"Version {version} has no run and therefore no files: it was registered manually. {advice}"
        )
    try:
        return Path(mlflow.download_artifacts(model_version.run_id, part))
    except (OSError, MlflowException) as error:
        raise PermanentError(f"The files of version {version} are missing ({_first_line(error)}). {advice}") from error


def _or_none(look_up: Any) -> Any | None:
    from mlflow.exceptions import MlflowException

    try:
        return look_up()
    except MlflowException as error:
        if error.error_code in NOT_FOUND_CODES:
            return None
        raise


def _first_line(error: object) -> str:
    return str(error).strip().split("\n")[0][:300]
