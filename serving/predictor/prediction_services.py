"""The services that predict: the model runtime, forecast tables, experiments, and the predictor that uses them."""

from dataclasses import dataclass

import redis

from lakehouse.settings import Settings
from serving.experiments.guardrails import GuardrailWatch
from serving.experiments.observations import Observations
from serving.experiments.service import Experiments
from serving.experiments.shadow import ShadowScorer
from serving.fast_path.current_answers import CurrentAnswers
from serving.models.catalog import discover
from serving.models.listing import ModelListing
from serving.models.loading import ModelLoading
from serving.models.runtime import ModelRuntime
from serving.prediction_log import PredictionLog
from serving.predictor.feature_scoring import FeatureScorer
from serving.predictor.forecast_cache import ForecastCache
from serving.predictor.forecast_tables import ForecastTables
from serving.predictor.service import Predictor
from serving.predictor.shadow_predictions import ShadowPredictions
from serving.publication_reader import Warehouse
from serving.workers.worker_registry import WorkerRegistry


@dataclass(frozen=True)
class PredictionServices:
    """The services that predict."""

    workers: WorkerRegistry
    runtime: ModelRuntime
    listing: ModelListing
    loading: ModelLoading
    experiments: Experiments
    guardrails: GuardrailWatch
    shadows: ShadowScorer
    cache: ForecastCache
    tables: ForecastTables
    predictor: Predictor
    current_answers: CurrentAnswers

    @property
    def parts(self) -> "tuple[WorkerRegistry, ModelRuntime, ForecastTables, ShadowScorer, GuardrailWatch]":
        """The services that have a thread, in the order in which they start."""
        return self.workers, self.runtime, self.tables, self.shadows, self.guardrails

    def start(self) -> None:
        """Start the threads."""
        for part in self.parts:
            part.start()

    def stop(self) -> None:
        """Stop the threads, in reverse order."""
        for part in self.parts[::-1]:
            part.stop()


def build_prediction(
    settings: Settings, warehouse: Warehouse, client: "redis.Redis", prediction_log: PredictionLog
) -> PredictionServices:
    """Build the services from the settings, without connecting to anything yet."""
    workers = WorkerRegistry(warehouse, settings.state)
    runtime = ModelRuntime(settings, warehouse, discover(), workers)
    observations = Observations()
    guardrails = GuardrailWatch(warehouse, runtime, observations)
    cache = ForecastCache(client)
    tables = ForecastTables(warehouse, cache, runtime, guardrails.observe_batch)
    runtime.prepare = tables.prepare
    shadows, scorer = ShadowScorer(prediction_log, settings.state), FeatureScorer(observations)
    predictor = Predictor(
        warehouse, runtime, tables, prediction_log, scorer=scorer, shadows=ShadowPredictions(shadows, scorer)
    )
    return PredictionServices(
        workers=workers,
        runtime=runtime,
        listing=ModelListing(warehouse, runtime),
        loading=ModelLoading(warehouse, runtime),
        experiments=Experiments(settings, warehouse, runtime.catalog),
        guardrails=guardrails,
        shadows=shadows,
        cache=cache,
        tables=tables,
        predictor=predictor,
        current_answers=CurrentAnswers(runtime, tables),
    )
