"""A published organisation, a registry with two models, and the application on top: all real, all small."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright
from pydantic import SecretStr

from infra.local.stack import Stack
from ingestion.contract_validation import EncodedEvent
from lakehouse.settings import Settings
from tests.databases import NewDatabase, copy_of
from tests.serving.browser_harness import CHROMIUM, FLAGS
from tests.serving.live_server import Api, serving
from tests.serving.published_organisation import alerts, publish, register_two_models, simulated, strange


@pytest.fixture(scope="session")
def dbt_target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One target folder for all runs."""
    return tmp_path_factory.mktemp("serving-dbt")


@pytest.fixture(scope="session")
def organisation_events() -> list[EncodedEvent]:
    """A small organisation with a running cycle, and key results with strange names."""
    events = simulated()
    return [*events, *strange(events), *alerts()]


@pytest.fixture(scope="session")
def registry_settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Settings of a registry and of static sites that these tests have for themselves."""
    folder = tmp_path_factory.mktemp("registry")
    return {
        "mlflow_store_uri": SecretStr(f"sqlite:///{folder}/mlflow.db"),
        "mlflow_artifacts": str(folder / "artifacts"),
        "sites_dir": folder / "sites",
    }


@pytest.fixture(scope="session")
def published_template(
    new_database: NewDatabase,
    dbt_target: Path,
    organisation_events: list[EncodedEvent],
    registry_settings: dict[str, object],
) -> Iterator[Settings]:
    """A warehouse with a publication, which is only copied, and a registry with a champion and another version."""
    with new_database() as database:
        settings = database.model_copy(update=registry_settings)
        publish(settings, organisation_events, dbt_target)
        register_two_models(settings)
        yield settings


@pytest.fixture(scope="session")
def published(published_template: Settings, test_stack: Stack) -> Iterator[Settings]:
    """Settings of a warehouse with a publication, and of a registry with a champion (version 1) and a version 2."""
    with copy_of(published_template, test_stack) as settings:
        yield settings


@pytest.fixture(scope="session")
def running_api(published: Settings, redis_server: Settings, kafka: Settings) -> Iterator[Api]:
    """The application, started once."""
    with serving(published) as api:
        yield api


@pytest.fixture
def api(running_api: Api) -> Api:
    """The running application, with nobody logged in."""
    running_api.client.cookies.clear()
    return running_api


@pytest.fixture
def app_headers(api: Api) -> dict[str, str]:
    """The header of an app's token."""
    return api.headers("app")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's chromium, without a window."""
    if not CHROMIUM.exists():
        told = (
            "Left out: Debian's chromium is missing. Install it by `apt-get install chromium` and run the tests again."
        )
        if os.environ.get("CI"):
            pytest.fail(told)
        pytest.skip(told)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
