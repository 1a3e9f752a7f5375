"""Create and complete exactly one MLflow run per training job, even if the job is retried."""

from collections.abc import Mapping
from typing import Any

TRAINING_TAG, DIGEST_TAG = "okr.training", "okr.mark"
UNFINISHED = {"RUNNING", "SCHEDULED"}


def start_run(mlflow: Any, experiment: str, name: str, training: str | None, result_digest: str) -> Any:
    """Return the run that an earlier attempt of the training job created with this digest, or create a new run.

    Unfinished runs of the job with a different digest belong to killed attempts that read different data. Their status
    is set to KILLED.
    """
    if training is None:
        return mlflow.create_run(experiment, run_name=name)
    found = [run for run in _runs(mlflow, experiment, training) if run.data.tags.get(DIGEST_TAG) == result_digest]
    for run in _runs(mlflow, experiment, training):
        if run.info.status in UNFINISHED and run.data.tags.get(DIGEST_TAG) != result_digest:
            mlflow.set_terminated(run.info.run_id, status="KILLED")
    if found:
        return found[0]
    return mlflow.create_run(experiment, run_name=name, tags={TRAINING_TAG: training, DIGEST_TAG: result_digest})


def _runs(mlflow: Any, experiment: str, training: str) -> list[Any]:
    """Return the runs of a training job, oldest first, excluding deleted runs."""
    # The search does not filter by the tag's value, because the id of a manually triggered DAG run may contain quotes.
    found = mlflow.search_runs([experiment], f"tags.`{TRAINING_TAG}` != ''", order_by=["attributes.start_time ASC"])
    return [run for run in found if run.data.tags[TRAINING_TAG] == training]


def log_figures(mlflow: Any, run: Any, parameters: Mapping[str, object], metrics: Mapping[str, float]) -> None:
    """Log parameters and metrics in one request. A retry does not create duplicates."""
    from mlflow.entities import Metric, Param

    at_ms = run.info.start_time  # the same in every attempt, so MLflow ignores repeated metrics
    mlflow.log_batch(
        run.info.run_id,
        metrics=[Metric(name, number, at_ms, 0) for name, number in metrics.items()],
        params=[Param(name, str(value)) for name, value in parameters.items()],
    )


def version_of_run(mlflow: Any, model: str, run_id: str) -> str | None:
    """Return the version that was registered from a run, or None if there is none."""
    found = mlflow.search_model_versions(f"name='{model}' AND run_id='{run_id}'")
    return str(found[0].version) if found else None
