"""Train a model on the published feature mart and register it as the challenger (run by model_training_dag)."""

import time
from dataclasses import dataclass

from psycopg import IsolationLevel

from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from ml import model_registry
from ml.design_matrix import BOOSTED, LOGISTIC
from ml.evaluation import Report, evaluate
from ml.feature_mart import read_history, read_publication_id
from ml.feature_rows import Rows
from ml.fit_model import InsufficientData, fit
from ml.forecast_model import ForecastModel
from ml.hyperparameter_search import choose_hyperparameters
from ml.hyperparameters import Hyperparameters
from ml.noise_regression import NOISE_FEATURES
from ml.reference_distribution import reference_of
from ml.train_test_split import Period, closed_periods, evaluable_periods, everything_closed, labelled, split_at


@dataclass(frozen=True)
class TrainedModels:
    """Two models with the same hyperparameters. Only `served` was trained on the held-out period."""

    hyperparameters: Hyperparameters
    held_out: Period
    evaluated: ForecastModel
    served: ForecastModel
    report: Report


@dataclass(frozen=True)
class TrainingResult:
    """The registered version, the report on its `evaluated` model, and the publication that it was trained on."""

    version: str
    sha256: str
    hyperparameters: Hyperparameters
    held_out: Period
    report: Report
    publication_id: int | None
    seconds: float


def train_and_register(
    settings: Settings, base: Hyperparameters | None = None, *, training: str | None = None
) -> TrainingResult:
    """Train on the published feature mart and register the challenger. The same rows produce the same model.

    `training` identifies a training job across retries, so that its result is registered only once.

    Raises:
        InsufficientData: fewer than two cycles or too few key results have closed, or all outcomes are the same.
    """
    started = time.monotonic()
    with connect(settings.require("dsn_serving"), application="okr-forecast") as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ  # one snapshot for both reads
        history, publication_id = read_history(connection), read_publication_id(connection)
    trained, training_rows = train(history, base or Hyperparameters()), history.take(everything_closed(history))
    version = model_registry.register(
        settings,
        {model_registry.SERVED: trained.served, model_registry.EVALUATED: trained.evaluated},
        parameters={
            **trained.hyperparameters.parameters(),
            "boosted": ",".join(BOOSTED),
            "logistic": ",".join(LOGISTIC),
            "noise_features": ",".join(NOISE_FEATURES),
            "noise_weight": trained.served.weight,
            "scale_factor": trained.served.scale_factor,
        },
        metrics=trained.report.flat(),
        tags={
            "trained_until": trained.served.trained_until,
            "held_out": str(trained.held_out),
            "publication_id": str(publication_id),
        },
        training=training,
        reference=reference_of(training_rows, trained.served.probabilities(training_rows)),
    )
    return TrainingResult(
        version=version,
        sha256=model_registry.digest(trained.served),
        hyperparameters=trained.hyperparameters,
        held_out=trained.held_out,
        report=trained.report,
        publication_id=publication_id,
        seconds=time.monotonic() - started,
    )


def train(history: Rows, base: Hyperparameters) -> TrainedModels:
    """Tune on a cycle before the held-out one, evaluate on the held-out cycle, then train on all closed cycles.

    Raises:
        InsufficientData: fewer than two cycles or too few key results have closed, or all outcomes are the same.
    """
    periods = trainable_periods(history)
    split = split_at(history, periods[-1])
    test = history.take(split.test & labelled(history))
    hyperparameters = choose_hyperparameters(history, base)
    evaluated = fit(history.take(split.train), hyperparameters)
    return TrainedModels(
        hyperparameters=hyperparameters,
        held_out=periods[-1],
        evaluated=evaluated,
        served=fit(history.take(everything_closed(history)), hyperparameters),
        report=evaluate(evaluated, test, history.take(split.train)),
    )


def trainable_periods(history: Rows) -> list[Period]:
    """Return the closed periods, oldest first, up to and including the held-out period.

    Raises:
        InsufficientData: fewer than two cycles have closed, or no cycle after the first can be used for evaluation.
    """
    closed, periods = closed_periods(history), evaluable_periods(history)
    if len(closed) < 2:
        raise InsufficientData(
            f"Training needs two closed cycles, one to train on and one to evaluate on; found {len(closed)}. "
            "The prior serves forecasts until a second cycle has closed."
        )
    if len(periods) < 2:
        raise InsufficientData(
            f"Training needs a closed cycle to train on and a later one to evaluate on. Of the {len(closed)} closed "
            f"cycles (the last is {closed[-1]}), none after the first has a check-in before the closing check-in. The "
            "prior serves forecasts until one has."
        )
    return periods
