"""The steps that need a published organisation (training, promotion, Data Docs, dbt docs) are killed and retried."""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from ml import model_registry
from ml.champion import champion_version, rollback
from ml.mlflow_client import client
from tests.dags.zygote import Zygote
from tests.faults.kills import killed_at_each
from tests.ml.conftest import load_simulation
from tests.publications import publish_build

TRAIN, PROMOTE = ("model_training_dag", "training:train"), ("model_training_dag", "training:promote")
VALIDATE, DOCUMENT = ("data_quality_dag", "quality:validate_published"), ("okr_etl_dag", "dbt_tasks:document")
# Few rounds, because the quality of the model does not matter here.
QUICK = (
    "import ml.train as train; H = train.Hyperparameters; train.Hyperparameters = lambda: H(rounds=20, thresholds=5)"
)
MLFLOW = "from mlflow import MlflowClient\n"
OF_TRAIN = {
    "train: with a run started": MLFLOW + "after(MlflowClient, 'create_run', die)",
    "train: with its figures logged": MLFLOW + "after(MlflowClient, 'log_batch', die)",
    "train: in the middle of its files": "import shutil; after(shutil, 'copy2', die, times=2)",
    "train: before the run ends": MLFLOW + "before(MlflowClient, 'set_terminated', die)",
    "train: with the model's name": MLFLOW + "after(MlflowClient, 'create_registered_model', die)",
    "train: with a version that nothing points to": MLFLOW + "after(MlflowClient, 'create_model_version', die)",
    "train: with the challenger named": MLFLOW + "after(MlflowClient, 'set_registered_model_alias', die)",
}
SHORT = ("train: in the middle of its files", "train: with a version that nothing points to")
DECIDED = "import ml.promotion_gate as gate; gate._outcome = lambda *_: ('{}', 'planted')\n"
OF_FIRST_PROMOTION = {
    "promote: with the champion named": MLFLOW + "after(MlflowClient, 'set_registered_model_alias', die)",
}
OF_PROMOTION = {
    "promote: with the champion before noted": MLFLOW + "after(MlflowClient, 'set_model_version_tag', die)",
    **OF_FIRST_PROMOTION,
}
OF_WITHDRAWAL = {
    "promote: with the champion withdrawn": MLFLOW + "after(MlflowClient, 'delete_registered_model_alias', die)",
}
OF_DOCS = {
    "validate_published: in the middle of its docs": "from expectations import data_docs as d; before(d, 'clean', die)",
    "validate_published: with its docs made": "from lakehouse import atomic_replace as a; before(a, '_link', die)",
    "validate_published: with its docs shown": "import expectations.published_check as c; before(c, 'save', die)",
}
OF_CATALOG = {
    "document: in the middle of its files": "from pathlib import Path; before(Path, 'rename', die, times=2)",
    "document: with its files made": "from lakehouse import atomic_replace as a; before(a, '_link', die)",
    "document: with the site shown": "from dags.steps import dbt_docs; after(dbt_docs, 'regenerate', die)",
}

KILLS = OF_TRAIN | OF_PROMOTION | OF_WITHDRAWAL | OF_DOCS | OF_CATALOG


@pytest.fixture(scope="module")
def organisation(
    zygote: Zygote,
    new_database: Callable[[], AbstractContextManager[Settings]],
    dbt_target: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Settings]:
    """A published organisation with closed cycles, its own sites, and an MLflow store that has only tables."""
    home = tmp_path_factory.mktemp("organisation")
    with new_database() as database:
        settings = database.model_copy(
            update={
                "dbt_target_dir": dbt_target, "state": home, "sites_dir": home / "sites",
                "mlflow_store_uri": SecretStr(f"sqlite:///{home}/store.db"), "mlflow_artifacts": str(home / "files"),
            }
        )  # fmt: skip
        load_simulation(settings)
        with connect(settings.require("dsn_loader")) as connection:
            connection.execute(
                "INSERT INTO raw.load_watermark SELECT 'okr_user_events', 0, max(kafka_offset) + 1, now() "
                "FROM raw.okr_user_events"
            )
        built = zygote.run(settings, "dbt_tasks:build", run_id="run")
        assert built.status == 0, built.log
        publish_build(settings)
        with client(settings) as mlflow:
            mlflow.search_experiments(max_results=1)  # creates the tables
        yield settings


def registered(settings: Settings) -> list[dict[str, Any]]:
    """Return the registry's content by version, without ids and times; a run without a version is an error."""
    with client(settings) as mlflow:
        experiment = mlflow.get_experiment_by_name(model_registry.MODEL_NAME)
        runs = {run.info.run_id: run for run in mlflow.search_runs([experiment.experiment_id])}
        found = {one.run_id: one for one in mlflow.search_model_versions(f"name='{model_registry.MODEL_NAME}'")}
        assert runs.keys() == found.keys(), "a run without a version is left"
        histories = {each: len(mlflow.get_metric_history(each, "model_brier")) for each in runs}
    listed = {one.version: one for one in model_registry.versions(settings)}
    return [
        {
            "version": str(found[each].version), "aliases": listed[str(found[each].version)].aliases,
            "tags": dict(found[each].tags), "status": run.info.status, "metrics": run.data.metrics,
            "parameters": run.data.params, "logged": histories[each], "files": files(settings, each),
        }
        for each, run in sorted(runs.items(), key=lambda item: int(found[item[0]].version))
    ]  # fmt: skip


def files(settings: Settings, run_id: str) -> Mapping[str, str]:
    folder = next(Path(settings.mlflow_artifacts).rglob(run_id)) / "artifacts"
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.mark.parametrize("points", [SHORT, pytest.param(tuple(OF_TRAIN), marks=pytest.mark.chaos)], ids=len)
@pytest.mark.timeout(900)
def test_a_training_killed_and_retried_registers_one_version_and_a_promotion_promotes_it_once(
    zygote: Zygote, organisation: Settings, tmp_path: Path, points: tuple[str, ...]
) -> None:
    def store(name: str) -> Settings:
        shutil.copyfile(organisation.state / "store.db", tmp_path / f"{name}.db")
        uri = SecretStr(f"sqlite:///{tmp_path / name}.db")
        return organisation.model_copy(update={"mlflow_store_uri": uri, "mlflow_artifacts": str(tmp_path / name)})

    undisturbed, settings = store("undisturbed"), store("killed")
    run_id = "scheduled__2026-03-02T05:00:00+00:00"
    assert killed_at_each(zygote, undisturbed, TRAIN, {}, run_id=run_id, arm=QUICK).result == "1"
    kills = {point: OF_TRAIN[point] for point in points}
    ended = killed_at_each(zygote, settings, TRAIN, kills, run_id=run_id, arm=QUICK)
    assert ended.result == "1", ended.log
    assert registered(settings) == registered(undisturbed)

    for each in (settings, undisturbed):
        kills = OF_FIRST_PROMOTION if each is settings else {}
        assert killed_at_each(zygote, each, PROMOTE, kills, "1", run_id=run_id).status == 0
    assert champion_version(settings) == "1"
    assert registered(settings) == registered(undisturbed)

    ended = killed_at_each(zygote, settings, TRAIN, {}, run_id="another", arm=QUICK)
    assert ended.result == "2", "another training is another version"
    ended = killed_at_each(
        zygote, settings, PROMOTE, OF_PROMOTION, "2", run_id="another", arm=DECIDED.format("promoted")
    )
    assert ended.result == "promoted", ended.log
    champion = model_registry.versions(settings)[0]
    assert (champion.version, champion.aliases) == ("2", ("challenger", "champion"))
    assert rollback(settings, "1"), "the champion before is remembered"

    arm = DECIDED.format("withdrawn")
    ended = killed_at_each(zygote, settings, PROMOTE, OF_WITHDRAWAL, "2", run_id="another", arm=arm)
    assert (ended.result, champion_version(settings)) == ("withdrawn", None)


def shown(site: Path) -> set[str]:
    """Return the site's files, which must include its first page."""
    found = {str(path.relative_to(site)) for path in site.rglob("*") if path.is_file()} if site.exists() else set()
    assert not site.exists() or "index.html" in found
    return found


@pytest.mark.timeout(600)
def test_readers_never_see_a_partial_site_when_its_renewal_is_killed_and_no_draft_is_left(
    zygote: Zygote, organisation: Settings
) -> None:
    sites = organisation.sites_dir
    quality, catalog = sites / "quality", sites / "catalog"
    whole = set()

    def look() -> None:
        for site in (quality, catalog):
            if found := shown(site):
                whole.add((site.name, len(found)))  # names of Data Docs contain their creation time

    for task, kills in ((VALIDATE, OF_DOCS), (DOCUMENT, OF_CATALOG)):
        ended = killed_at_each(zygote, organisation, task, kills, run_id="run", meanwhile=look)
        assert ended.status == 0, ended.log
        look()
    assert ended.result is False, "the docs were shown by the try before and are those of the project"
    assert len(whole) == 2, "of each site every reader saw all files"
    assert gate_results(organisation) == 1
    drafts = {each.name for each in sites.iterdir()} - {"quality", "catalog"}
    assert not {name for name in drafts if name.endswith((".lock", ".link"))}
    assert len(drafts) <= 4, f"of each site its folder and the one before: {drafts}"


def gate_results(settings: Settings) -> int:
    with psycopg.connect(settings.require("dsn_transform")) as connection:
        (found,) = connection.execute("SELECT count(*) FROM ops.gate_result WHERE gate = 'published'").fetchone() or (
            0,
        )
    return int(found)
