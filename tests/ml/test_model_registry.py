import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, event

from lakehouse.errors import PermanentError
from lakehouse.settings import Settings
from ml import model_registry, promotion_gate
from ml.champion import champion_version, rollback, set_champion, was_rolled_back
from ml.feature_rows import Rows
from ml.fit_model import fit
from ml.forecast_model import ForecastModel, IncompatibleModel, load_model
from ml.golden_rows import ROWS, read_golden_rows
from ml.hyperparameters import Hyperparameters
from ml.mlflow_client import client, set_alias
from ml.train_test_split import everything_closed


@pytest.fixture(scope="module")
def model(history: Rows, hyperparameters: Hyperparameters) -> ForecastModel:
    return fit(history.take(everything_closed(history)), hyperparameters)


def register(settings: Settings, model: ForecastModel) -> str:
    return model_registry.register(
        settings,
        {"model": model, "evaluated": model},
        parameters={"rounds": 20},
        metrics={"model_brier": 0.1},
        tags={"trained_until": model.trained_until, "held_out": "2025-Q4", "publication_id": "1"},
    )


def test_a_registered_model_is_loaded_unchanged(settings: Settings, model: ForecastModel, history: Rows) -> None:
    version = register(settings, model)
    rows = history.take(everything_closed(history))
    for reference in ("challenger", version):
        loaded = model_registry.load(settings, reference)
        assert (loaded.version, loaded.role, loaded.trained_until) == (version, "model", "2025-12-31")
        assert (loaded.probabilities(rows) == model.probabilities(rows)).all()
    listed = model_registry.versions(settings)
    assert [(one.version, one.aliases) for one in listed] == [("1", ("challenger",))]
    assert listed[0].metrics == {"model_brier": 0.1}
    assert listed[0].tags["sha256"] == model_registry.digest(model)


def test_the_registry_has_no_pickles(settings: Settings, model: ForecastModel) -> None:
    register(settings, model)
    files = [path for path in Path(settings.mlflow_artifacts).rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"trees.ubj", "model.json", "requirements.txt", "golden_rows.json"}
    assert not any(path.read_bytes().startswith(b"\x80") for path in files)


def test_golden_rows_are_stored_with_the_served_model_and_give_the_same_forecasts(
    settings: Settings, model: ForecastModel
) -> None:
    files = model_registry.fetch(settings, model_registry.MODEL_NAME, register(settings, model), "model")
    _, golden = read_golden_rows(files.folder)
    assert len(golden) == len(ROWS)
    forecasts = load_model(files.folder).forecast([row for row, _ in golden])
    assert [expected for _, expected in golden] == [
        {"probability": one.probability, "low": one.low, "high": one.high} for one in forecasts
    ]
    assert len({one.probability for one in forecasts}) > len(ROWS) / 2, "the rows differ enough to notice a change"


def test_a_challenger_alone_is_no_champion(settings: Settings, model: ForecastModel) -> None:
    assert champion_version(settings) is None
    register(settings, model)
    assert champion_version(settings) is None
    with pytest.raises(PermanentError, match="has no version or alias 'champion' of okr_key_result_forecast"):
        model_registry.load(settings, "champion")


def test_changed_files_are_rejected(settings: Settings, model: ForecastModel) -> None:
    register(settings, model)
    served = next(path for path in Path(settings.mlflow_artifacts).rglob("model/model.json"))
    served.write_text(served.read_text().replace('"trained_until": "2025', '"trained_until": "2024'))
    with pytest.raises(PermanentError, match="have changed since it was registered"):
        model_registry.load(settings, "challenger")


def test_a_model_of_other_features_is_rejected(model: ForecastModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    numbers = tmp_path / "model.json"
    numbers.write_text(numbers.read_text().replace("log_pace_ratio_7d", "shoe_size"))
    with pytest.raises(IncompatibleModel, match=r"shoe_size.*Train again"):
        load_model(tmp_path)


@pytest.fixture
def on_postgresql(postgres: Settings, published: Settings, tmp_path: Path) -> Settings:
    store = SecretStr(postgres.require("mlflow_store_uri"))
    return published.model_copy(update={"mlflow_store_uri": store, "mlflow_artifacts": str(tmp_path / "artifacts")})


def test_the_registry_works_on_postgresql_without_a_server(on_postgresql: Settings, model: ForecastModel) -> None:
    version = register(on_postgresql, model)
    set_champion(on_postgresql, version)
    assert model_registry.load(on_postgresql, "champion").version == version


def delete_experiment(settings: Settings) -> None:
    """Delete the experiment as a user can in MLflow's page."""
    with client(settings) as mlflow:
        mlflow.delete_experiment(mlflow.get_experiment_by_name(model_registry.MODEL_NAME).experiment_id)


def test_a_training_restores_a_deleted_experiment(settings: Settings, model: ForecastModel) -> None:
    # mlflow issue 2690, Lightning-AI/pytorch-lightning pull 20556: every run fails from then on.
    first = register(settings, model)
    set_champion(settings, first)
    delete_experiment(settings)
    assert model_registry.load(settings, "champion").version == first
    assert [one.version for one in model_registry.versions(settings)] == [first]
    second = register(settings, model)
    assert [one.metrics for one in model_registry.versions(settings)] == [{"model_brier": 0.1}] * 2
    set_champion(settings, second)
    assert rollback(settings, first)


def test_a_version_registered_without_a_run_is_listed_and_reported_in_one_line(
    settings: Settings, model: ForecastModel
) -> None:
    register(settings, model)
    with client(settings) as mlflow:
        bare = mlflow.create_model_version(
            model_registry.MODEL_NAME, source=f"{settings.mlflow_artifacts}/nothing"
        ).version
        lost = mlflow.create_model_version(model_registry.MODEL_NAME, source="nothing", run_id="f" * 32).version
    assert {one.version: one.metrics for one in model_registry.versions(settings)}[str(bare)] == {}
    with pytest.raises(PermanentError, match=f"Version {bare} of .* has no run.*Train again"):
        model_registry.load(settings, str(bare))
    with pytest.raises(PermanentError, match=f"The files of version {lost} of .* are missing.*Train again"):
        model_registry.load(settings, str(lost))
    set_champion(settings, str(bare))
    assert champion_version(settings) == str(bare)
    assert not was_rolled_back(settings, str(bare))


def test_registering_works_again_after_the_registered_model_was_deleted(
    settings: Settings, model: ForecastModel
) -> None:
    set_champion(settings, register(settings, model))
    with client(settings) as mlflow:
        mlflow.delete_registered_model(model_registry.MODEL_NAME)
    assert model_registry.versions(settings) == []
    assert champion_version(settings) is None
    assert register(settings, model) == "1"


def test_two_simultaneous_first_trainings_both_register(
    on_postgresql: Settings, model: ForecastModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "two_first_trainings"
    monkeypatch.setattr(model_registry, "MODEL_NAME", name)
    with client(on_postgresql) as mlflow:
        mlflow.search_experiments(max_results=1)  # `okr up` creates the tables before any training
    both = threading.Barrier(2)

    def train() -> str:
        both.wait()
        return register(on_postgresql, model)

    with ThreadPoolExecutor(2) as pool:
        versions = [each.result() for each in [pool.submit(train), pool.submit(train)]]
    assert sorted(versions) == ["1", "2"]
    assert model_registry.resolve(on_postgresql, "challenger") in versions


def test_two_trainings_that_insert_the_alias_at_the_same_moment_both_succeed(
    on_postgresql: Settings, model: ForecastModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_registry, "MODEL_NAME", "two_first_aliases")
    versions = [register(on_postgresql, model), register(on_postgresql, model)]
    both, waited = threading.Barrier(2), threading.local()

    def wait_for_the_other(*execution: object) -> None:
        if "INSERT INTO registered_model_aliases" in str(execution[2]) and not hasattr(waited, "once"):
            waited.once = True
            both.wait(20)

    def name(version: str) -> None:
        with client(on_postgresql) as mlflow:
            set_alias(mlflow, "two_first_aliases", "champion", version)

    event.listen(Engine, "before_cursor_execute", wait_for_the_other)
    try:
        with ThreadPoolExecutor(2) as pool:
            for each in [pool.submit(name, version) for version in versions]:
                each.result()
    finally:
        event.remove(Engine, "before_cursor_execute", wait_for_the_other)
    assert not both.broken
    assert model_registry.resolve(on_postgresql, "champion") in versions


def test_a_request_that_mlflow_rejects_is_reported_in_one_line(settings: Settings) -> None:
    with (
        pytest.raises(PermanentError, match=r"MLflow rejected .*`okr forecast models`"),
        client(settings) as mlflow,
    ):
        mlflow.set_registered_model_alias("nothing", "champion", "1")


def test_a_champion_without_files_does_not_block_promotion(settings: Settings, model: ForecastModel) -> None:
    set_champion(settings, register(settings, model))
    shutil.rmtree(settings.mlflow_artifacts)
    assert champion_version(settings) == "1"
    assert promotion_gate._champion(settings) is None
    with pytest.raises(PermanentError, match=r"The files of version 1 .* are missing"):
        model_registry.load(settings, "champion")
