"""MLflow's store as the registry uses it: a client whose failures are ours, and what has to be there for a training.

People open MLflow's page and delete things, and two trainings may be the first: none of that may end in a traceback.
"""

import os
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

LIMITS = Limits(statement_s=60, lock_s=30, idle_s=60)
IMPORTING = threading.Lock()  # two threads that import it together may each find half of it
AWAY = "MLflow's store does not answer. Is the stack up (`make status`)?"
GONE = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}


def store_uri(settings: Settings) -> str:
    """Return the store's address, with the limits of every connection of ours where it is PostgreSQL."""
    store = settings.require("mlflow_store_uri")
    if not store.startswith("postgresql"):
        return store
    return sqlalchemy_url(store, "okr-registry", driver="psycopg2", limits=LIMITS)


@contextmanager
def client(settings: Settings) -> Iterator[Any]:
    """Give an MlflowClient on the store; telemetry is off.

    Raises:
        RetryableError: the store cannot be reached.
        PermanentError: MLflow refuses what is asked of it; its own words follow.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    with IMPORTING:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import DBAPIError, OperationalError

    store = store_uri(settings)
    try:
        yield MlflowClient(tracking_uri=store, registry_uri=store)
    except OperationalError as error:
        raise RetryableError(AWAY) from error
    except DBAPIError as error:
        raise PermanentError(f"MLflow's store refuses a statement: {_first_line(error.orig)}.") from error
    except MlflowException as error:
        if error.error_code == "TEMPORARILY_UNAVAILABLE" or isinstance(error.__cause__, OperationalError):
            raise RetryableError(AWAY) from error
        raise PermanentError(
            f"MLflow refuses: {_first_line(error)} `okr forecast models` lists what the registry holds."
        ) from error


def active_experiment(mlflow: Any, name: str, artifacts: str) -> str:
    """Return the id of an experiment: made when missing, restored when somebody deleted it in MLflow's page.

    A deleted one keeps its name: nothing can be recorded in it, and no other can be made (mlflow issue 2690,
    Lightning-AI/pytorch-lightning pull 20556).
    """
    from mlflow.exceptions import MlflowException

    known = mlflow.get_experiment_by_name(name)
    if known is None:
        location = artifacts if "://" in artifacts else Path(artifacts).absolute().as_uri()
        try:
            return str(mlflow.create_experiment(name, artifact_location=location))
        except MlflowException as error:
            # Another first training was quicker.
            known = mlflow.get_experiment_by_name(name) if error.error_code == "RESOURCE_ALREADY_EXISTS" else None
            if known is None:
                raise
    if known.lifecycle_stage != "active":
        get_logger(__name__).warning("a deleted experiment is restored, with its runs", experiment=name)
        mlflow.restore_experiment(known.experiment_id)
    return str(known.experiment_id)


def registered_model(mlflow: Any, name: str) -> Any | None:
    """Return a registered model, or None where there is none."""
    return _or_none(lambda: mlflow.get_registered_model(name))


def make_registered_model(mlflow: Any, name: str, description: str) -> None:
    """Make a registered model unless it is there, or another training is making it."""
    from mlflow.exceptions import MlflowException

    if registered_model(mlflow, name) is not None:
        return
    try:
        mlflow.create_registered_model(name, description=description)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def find_version(mlflow: Any, name: str, reference: str) -> Any | None:
    """Return the version that an alias or a number names, or None."""
    if reference.isdigit():
        return _or_none(lambda: mlflow.get_model_version(name, reference))
    return _or_none(lambda: mlflow.get_model_version_by_alias(name, reference))


def run_metrics(mlflow: Any, run_id: str | None) -> dict[str, float]:
    """Return what a run measured; nothing where a version was registered without one, or it is gone."""
    run = _or_none(lambda: mlflow.get_run(run_id)) if run_id else None
    return {} if run is None else dict(run.data.metrics)


def artifacts(mlflow: Any, found: Any, part: str) -> Path:
    """Return the folder of one part of a version's files.

    Raises:
        PermanentError: the version has no run, or its files are gone.
    """
    from mlflow.exceptions import MlflowException

    advice = "Train again: `okr forecast train`."
    if not found.run_id:
        raise PermanentError(
            f"Version {found.version} of {found.name} has no run, so there are no files of ours: somebody registered "
            f"it by hand. {advice}"
        )
    try:
        return Path(mlflow.download_artifacts(found.run_id, part))
    except (OSError, MlflowException) as error:
        raise PermanentError(
            f"The files of version {found.version} of {found.name} are gone ({_first_line(error)}). {advice}"
        ) from error


def _or_none(ask: Any) -> Any | None:
    from mlflow.exceptions import MlflowException

    try:
        return ask()
    except MlflowException as error:
        if error.error_code in GONE:
            return None
        raise


def _first_line(error: object) -> str:
    return str(error).strip().split("\n")[0][:300]
