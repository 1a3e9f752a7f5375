"""Register, list and load models in the model registry (MLflow), directly in its store and without pickles.

The run of each version contains two models. `model` was trained on all closed cycles and is served. `evaluated` was
trained with the same hyperparameters but without the held-out cycle, and the promotion gate uses it for comparisons.
"""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, Literal

from lakehouse.achieved_score import ACHIEVED_SCORE
from lakehouse.errors import PermanentError
from lakehouse.settings import Settings
from ml.forecast_model import ForecastModel, load_model
from ml.golden_rows import write_golden_rows
from ml.mlflow_client import (
    active_experiment,
    artifacts,
    client,
    create_registered_model_once,
    find_version,
    registered_model,
    run_metrics,
    set_alias,
)
from ml.mlflow_run import log_figures, start_run, version_of_run
from ml.reference_distribution import ReferenceDistribution

MODEL_NAME = "okr_key_result_forecast"
CHALLENGER = "challenger"
SERVED: Literal["model"] = "model"
EVALUATED: Literal["evaluated"] = "evaluated"
DIGEST = "sha256"
DESCRIPTION = f"P(final score of a key result >= {ACHIEVED_SCORE}), an interval of the score, and reasons."
REQUIREMENTS = ("numpy", "xgboost-cpu")


@dataclass(frozen=True)
class Version:
    """A registered version with its number, its current aliases, and the tags and metrics recorded at registration."""

    version: str
    aliases: tuple[str, ...]
    created_at: datetime
    tags: Mapping[str, str]
    metrics: Mapping[str, float]


def register(  # noqa: PLR0913 -- keyword arguments that describe the models
    settings: Settings,
    models: Mapping[str, ForecastModel],
    *,
    parameters: Mapping[str, object],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    training: str | None = None,
    reference: ReferenceDistribution | None = None,
) -> str:
    """Register the models `model` and `evaluated` as one new version, the challenger, and return its number.

    The golden rows of `model` are stored next to its files, and every worker checks them before it serves the version.
    `reference`, the distribution of the training data, is stored there, too. Workers compare the current key results
    with it.

    `training` identifies a training job across retries. If a retry produces the same models as a killed attempt, it
    completes the run and the version of that attempt. Otherwise, the run of the killed attempt is set to KILLED.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, model in models.items():
            model.save(Path(folder) / name)
        write_golden_rows(models[SERVED], Path(folder) / SERVED)
        if reference is not None:
            reference.write(Path(folder) / SERVED)
        requirements = "".join(f"{name}=={installed(name)}\n" for name in REQUIREMENTS)
        (Path(folder) / SERVED / "requirements.txt").write_text(requirements, encoding="utf-8")
        return register_files(
            settings,
            MODEL_NAME,
            Path(folder),
            description=DESCRIPTION,
            run_name=f"trained until {tags['trained_until']}",
            parameters=parameters,
            metrics=metrics,
            tags={**tags, DIGEST: digest(models[SERVED])},
            training=training,
            result_digest=_result_digest(models, parameters, tags),
        )


def register_files(  # noqa: PLR0913 -- keyword arguments that describe the version
    settings: Settings,
    model_name: str,
    folder: Path,
    *,
    description: str,
    run_name: str,
    parameters: Mapping[str, object],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    training: str | None = None,
    result_digest: str = "",
) -> str:
    """Register a folder with the subfolder `model` as a new version of `model_name`, and make it the challenger.

    Returns:
        The number of the version.
    """
    with client(settings) as mlflow:
        experiment = active_experiment(mlflow, model_name, settings.require("mlflow_artifacts"))
        run = start_run(mlflow, experiment, run_name, training, result_digest)
        log_figures(mlflow, run, parameters, metrics)
        mlflow.log_artifacts(run.info.run_id, str(folder))
        mlflow.set_terminated(run.info.run_id)
        create_registered_model_once(mlflow, model_name, description)
        version = version_of_run(mlflow, model_name, run.info.run_id)
        if version is None:
            source = f"{run.info.artifact_uri}/{SERVED}"
            version = mlflow.create_model_version(
                model_name, source=source, run_id=run.info.run_id, tags=dict(tags)
            ).version
        set_alias(mlflow, model_name, CHALLENGER, version)
    return str(version)


def _result_digest(
    models: Mapping[str, ForecastModel], parameters: Mapping[str, object], tags: Mapping[str, str]
) -> str:
    """Return a hash of the models, parameters and tags, which identifies the result of a training job."""
    files = {name: digest(model) for name, model in models.items()}
    text = json.dumps([files, {name: str(value) for name, value in parameters.items()}, dict(tags)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def load(settings: Settings, reference: str, part: Literal["model", "evaluated"] = "model") -> ForecastModel:
    """Return the model with this alias or version number.

    Raises:
        PermanentError: there is no such alias or version, or its files are missing or have changed.
    """
    with client(settings) as mlflow:
        found = find_version(mlflow, MODEL_NAME, reference)
        if found is None:
            raise PermanentError(
                f"The registry has no version or alias {reference!r} of {MODEL_NAME}. `okr forecast models` lists all "
                "versions."
            )
        model = load_model(artifacts(mlflow, found, part)).registered_as(str(found.version))
    if part == SERVED and digest(model) != found.tags.get(DIGEST):
        raise PermanentError(
            f"The files of version {found.version} have changed since it was registered. Train again: "
            "`okr forecast train`."
        )
    return model


@dataclass(frozen=True)
class VersionFiles:
    """A local folder with the files of a registered version, and the tags that it was registered with."""

    folder: Path
    tags: Mapping[str, str]


def fetch(settings: Settings, model_name: str, reference: str, part: Literal["model", "evaluated"]) -> VersionFiles:
    """Return the files of the version of `model_name` that has this alias or number.

    Raises:
        PermanentError: there is no such alias or version, or its files are missing.
    """
    with client(settings) as mlflow:
        found = find_version(mlflow, model_name, reference)
        if found is None:
            raise PermanentError(
                f"The registry has no version {reference!r} of {model_name}. MLflow's page of the model lists them."
            )
        return VersionFiles(artifacts(mlflow, found, part), dict(found.tags))


def resolve(settings: Settings, reference: str, model_name: str = MODEL_NAME) -> str | None:
    """Return the number of the version with this alias or number, or None if there is none."""
    with client(settings) as mlflow:
        found = find_version(mlflow, model_name, reference)
    return None if found is None else str(found.version)


def versions(settings: Settings, model_name: str = MODEL_NAME) -> list[Version]:
    """Return all versions of a model, newest first."""
    with client(settings) as mlflow:
        registered = registered_model(mlflow, model_name)
        if registered is None:
            return []
        found = mlflow.search_model_versions(f"name='{model_name}'")
        listed = [_version(mlflow, each, registered.aliases) for each in found]
    return sorted(listed, key=lambda version: -int(version.version))


def digest(model: ForecastModel) -> str:
    """Return the SHA-256 digest of a model's files. The same data, hyperparameters and code produce the same digest."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder))
        parts = [hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(Path(folder).iterdir())]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def _version(mlflow: Any, found: Any, aliases: Mapping[str, str]) -> Version:
    metrics = run_metrics(mlflow, found.run_id)
    names = tuple(sorted(alias for alias, number in aliases.items() if str(number) == str(found.version)))
    created = datetime.fromtimestamp(found.creation_timestamp / 1000, UTC)
    return Version(str(found.version), names, created, dict(found.tags), metrics)
