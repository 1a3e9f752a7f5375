"""The step of upkeep_dag: it keeps the lake, or says why there was nothing to do."""

from pathlib import Path

import pytest

from dags.steps.upkeep import keep_lake
from ingestion.upkeep.report import read_last
from lakehouse.settings import Settings
from lakehouse.warehouse import connect, read_sql
from tests.ingestion.upkeep.test_upkeep import TOPIC, fill

pytestmark = pytest.mark.usefixtures("airflow_home")


@pytest.fixture
def lake(fresh_database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A lake without a table, to which the step's own settings lead."""
    settings = fresh_database.model_copy(update={"lake_uri": str(tmp_path / "lake")})
    for name in ("lake_uri", "dsn_loader"):
        monkeypatch.setenv(f"OKR_{name.upper()}", settings.require(name))
    return settings


def test_it_is_skipped_before_anything_has_landed_and_while_another_is_at_work(lake: Settings) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    with pytest.raises(AirflowSkipException, match="Nothing has landed yet"):
        keep_lake()
    fill(lake, 2)
    with connect(lake.require("dsn_loader"), autocommit=True) as other:
        other.execute(read_sql("ingestion.upkeep", "lock"))
        with pytest.raises(AirflowSkipException, match="Another upkeep is at work"):
            keep_lake()


def test_it_keeps_the_lake(lake: Settings) -> None:
    fill(lake, 3)
    keep_lake()
    assert read_last(lake.lake_uri)[TOPIC]["files_after"] == 1
