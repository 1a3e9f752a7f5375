"""A page shows a single publication, even if others arrive between the reads that build it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from psycopg import sql

from ingestion.contract_validation import EncodedEvent
from lakehouse.errors import RetryableError
from lakehouse.publishing import marts_build, publication
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from ml.model_registry import MODEL_NAME
from serving.auth.visibility import UNRESTRICTED
from serving.experiments.observations import Observations
from serving.experiments.shadow import ShadowScorer
from serving.models.loaded_version import LoadedVersion
from serving.predictor.feature_scoring import FeatureScorer
from serving.predictor.forecast_cache import ForecastCache
from serving.predictor.forecast_tables import ForecastTables
from serving.predictor.service import AllForecasts, Predictor
from serving.predictor.shadow_predictions import ShadowPredictions
from serving.publication_reader import Published, Warehouse
from serving.warehouses import Warehouses
from serving.web.service import ATTEMPTS, Scorecard
from tests.databases import NewDatabase
from tests.polling import until
from tests.serving.live_server import Api
from tests.serving.published_organisation import RUN, publish, republish


def publish_the_same_again(settings: Settings) -> None:
    """Publish a copy of the current marts."""
    dsn = settings.require("dsn_transform")
    marts_build.prepare_build(dsn, RUN)
    with connect(dsn) as connection:
        tables = connection.execute(
            "SELECT schemaname, viewname FROM pg_views "
            "WHERE schemaname IN ('marts', 'ml') AND viewname <> 'publication'"
        ).fetchall()
        for schema, table in tables:
            build, now = sql.Identifier(f"{schema}_build", str(table)), sql.Identifier(str(schema), str(table))
            connection.execute(sql.SQL("CREATE TABLE {} AS TABLE {}").format(build, now))
    republish(settings)


class Overtaken(Predictor):
    """The real predictor; a publication comes in before or behind each of its next `swaps` answers."""

    def overtake(self, settings: Settings, swaps: int, *, before: bool) -> None:
        """Say how often, and when."""
        self.settings, self.swaps, self.before = settings, swaps, before

    def all_current(self) -> Published[AllForecasts]:
        """Answer, and publish meanwhile."""
        is_overtaken, self.swaps = self.swaps > 0, max(self.swaps - 1, 0)
        if is_overtaken and self.before:
            publish_the_same_again(self.settings)
        forecasts = super().all_current()
        if is_overtaken and not self.before:
            publish_the_same_again(self.settings)
        return forecasts


@pytest.fixture(scope="module")
def database(
    new_database: NewDatabase, dbt_target: Path, organisation_events: list[EncodedEvent]
) -> Iterator[Settings]:
    """A warehouse with a publication that these tests may replace."""
    with new_database() as settings:
        publish(settings, organisation_events, dbt_target)
        yield settings


@pytest.fixture
def overtaken(api: Api, database: Settings, tmp_path: Path) -> Iterator[tuple[Scorecard, Overtaken]]:
    """The pages, and the predictor behind them."""
    warehouses = Warehouses.from_settings(database)
    warehouse = warehouses.installation
    warehouses.open()
    with redis.Redis.from_url(api.settings.require("redis_url")) as client:
        runtime, log = api.services.prediction.runtime, api.services.prediction_log
        scorer = FeatureScorer(Observations())
        shadows = ShadowPredictions(ShadowScorer(log, tmp_path), scorer)
        tables = ForecastTables(warehouse, ForecastCache(client), runtime)
        predictor = Overtaken(warehouse, runtime, tables, log, scorer=scorer, shadows=shadows)
        yield Scorecard(warehouses, predictor), predictor
    warehouses.close()


@pytest.mark.parametrize("before", [True, False])
def test_a_scorecard_is_read_again_if_a_publication_arrives_meanwhile(
    overtaken: tuple[Scorecard, Overtaken], database: Settings, before: bool
) -> None:
    pages, predictor = overtaken
    predictor.overtake(database, 1, before=before)
    page = pages.page(UNRESTRICTED)
    now = publication.current(database.require("dsn_serving"))
    assert now is not None
    assert page.publication.publication_id == now.publication_id
    assert predictor.swaps == 0


@pytest.mark.parametrize("before", [True, False])
def test_a_scorecard_fails_if_a_publication_arrives_during_every_attempt(
    overtaken: tuple[Scorecard, Overtaken], database: Settings, before: bool
) -> None:
    pages, predictor = overtaken
    predictor.overtake(database, ATTEMPTS, before=before)
    with pytest.raises(RetryableError, match="Try again"):
        pages.page(UNRESTRICTED)


def test_a_key_result_page_never_shows_the_forecast_of_another_publication(
    overtaken: tuple[Scorecard, Overtaken], database: Settings
) -> None:
    pages, predictor = overtaken
    predictor.overtake(database, 0, before=True)
    at_risk = pages.page(UNRESTRICTED).at_risk[0].row["key_result_id"]
    predictor.overtake(database, 1, before=True)
    page = pages.key_result_page(UNRESTRICTED, at_risk)
    now = publication.current(database.require("dsn_serving"))
    assert now is not None
    assert page.publication.publication_id == now.publication_id
    predictor.overtake(database, ATTEMPTS, before=True)
    with pytest.raises(RetryableError, match="Try again"):
        pages.key_result_page(UNRESTRICTED, at_risk)


def test_the_forecasts_of_a_new_publication_are_computed_once_in_the_background(api: Api, database: Settings) -> None:
    warehouse, batches, swapped = Warehouse(database.require("dsn_serving")), [], []
    warehouse.open()
    with redis.Redis.from_url(api.settings.require("redis_url")) as client:

        def observe(version: LoadedVersion, *, is_failed: bool, duration_s: float) -> None:
            batches.append((version.key, is_failed, duration_s < 60))

        tables = ForecastTables(
            warehouse, ForecastCache(client), api.services.prediction.runtime, observe, look_every_s=0.05
        )
        tables.subscribe(swapped.append)
        version = api.services.prediction.runtime.active(MODEL_NAME)
        first = tables.of([version])
        tables.start()
        publish_the_same_again(database)
        until(lambda: tables.of([version]).publication != first.publication, "the tables are swapped", pause=0.02)
        second = tables.of([version])
        tables.stop()
        assert tables.of([version]) is second
    warehouse.close()
    assert second.publication == swapped[-1].publication
    assert second.tables[version.key].answers == first.tables[version.key].answers
    assert set(batches) == {(version.key, False, True)}
    assert len(batches) in {len(swapped), len(swapped) - 1}, "the first may come from the cache"
