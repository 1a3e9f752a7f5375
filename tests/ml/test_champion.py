"""The champion alias is set, looked up and rolled back, even if a rollback is killed and repeated."""

import subprocess
import sys

import pytest

from lakehouse.errors import PermanentError
from lakehouse.settings import Settings
from ml.champion import champion_version, champions, rollback, set_champion
from ml.mlflow_client import client
from ml.model_registry import MODEL_NAME, versions


@pytest.fixture
def three(settings: Settings) -> Settings:
    """A registry whose versions 1, 2 and 3 became champion one after the other. They have no files."""
    with client(settings) as mlflow:
        mlflow.create_registered_model(MODEL_NAME)
        for _ in range(3):
            mlflow.create_model_version(MODEL_NAME, source="nothing")
    for version in ("1", "2", "3"):
        set_champion(settings, version)
    return settings


def rolled_back(settings: Settings) -> set[str]:
    return {one.version for one in versions(settings) if "rolled_back" in one.tags}


def test_a_rollback_names_its_target_and_changes_nothing_the_second_time(three: Settings) -> None:
    assert champions(three).earlier == ("2", "1")
    assert rollback(three, "2")
    assert not rollback(three, "2")
    assert champion_version(three) == "2"
    assert rolled_back(three) == {"3"}


def test_a_rollback_over_two_champions_withdraws_both(three: Settings) -> None:
    assert rollback(three, "1")
    assert champion_version(three) == "1"
    assert rolled_back(three) == {"2", "3"}


KILLED = """
import sys
from mlflow import MlflowClient
from lakehouse.settings import load_settings
from ml.champion import rollback
from tests.faults.fault_injection import after, before, die

{plant}
rollback(load_settings(), "2")
"""


@pytest.mark.parametrize(
    ("plant", "champion_when_killed"),
    [
        ("before(MlflowClient, 'set_registered_model_alias', die)", "3"),
        ("after(MlflowClient, 'set_registered_model_alias', die)", "2"),
    ],
)
def test_a_rollback_that_was_killed_and_is_run_again_goes_back_once(
    three: Settings, monkeypatch: pytest.MonkeyPatch, plant: str, champion_when_killed: str
) -> None:
    monkeypatch.setenv("OKR_MLFLOW_STORE_URI", three.require("mlflow_store_uri"))
    command = [sys.executable, "-c", KILLED.format(plant=plant)]
    assert subprocess.run(command, capture_output=True, timeout=120, check=False).returncode == -9
    assert champion_version(three) == champion_when_killed
    assert rollback(three, "2") == (champion_when_killed == "3")
    assert champion_version(three) == "2"
    assert rolled_back(three) == {"3"}


def test_only_an_earlier_champion_can_become_champion_by_a_rollback(three: Settings) -> None:
    with client(three) as mlflow:
        mlflow.create_model_version(MODEL_NAME, source="nothing")
    with pytest.raises(PermanentError, match=r"Version 4 was not champion before version 3.*champions: 2, 1"):
        rollback(three, "4")
    assert champion_version(three) == "3"


def test_versions_that_promoted_each_other_in_turn_are_listed_once(three: Settings) -> None:
    set_champion(three, "1")
    assert champions(three).earlier == ("3", "2")


def test_without_a_champion_a_rollback_says_that_the_prior_serves(three: Settings) -> None:
    set_champion(three, None)
    assert champion_version(three) is None
    with pytest.raises(PermanentError, match="There is no champion, so the prior serves forecasts"):
        rollback(three, "2")


def test_a_deleted_version_cannot_become_champion(three: Settings) -> None:
    with client(three) as mlflow:
        mlflow.delete_model_version(MODEL_NAME, "2")
    with pytest.raises(PermanentError, match="Version 2, an earlier champion, has been deleted"):
        rollback(three, "2")
    with pytest.raises(PermanentError, match="has no version 2"):
        set_champion(three, "2")
