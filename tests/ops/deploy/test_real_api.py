"""Releases of the real API behind nginx, under constant load from wrk: deploy, roll back, switch, a wrong release."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from infra.deploy import links
from infra.deploy.api_client import ColourClient
from infra.deploy.units import running_release
from lakehouse.environment import exported
from lakehouse.settings import Settings
from ml.golden_rows import ROWS
from tests.databases import NewDatabase
from tests.figures import report
from tests.ingestion.crash import environment_of
from tests.ops.conftest import RequirePrograms
from tests.ops.deploy.conftest import TestHost, make_host
from tests.ops.deploy.load import listens
from tests.ops.deploy.proxy import nginx, wrk
from tests.ops.deploy.releases import install
from tests.ops.deploy.small_model import register_champion
from tests.polling import until

SWITCHES = 20
FAST_FEATURES = "serving/fast_path/fast_features.py"


def predict_the_opposite(files: Path) -> None:
    """Plant a fault that the check of each worker does not see: only the fast path predicts wrongly."""
    path = files / FAST_FEATURES
    right = "by.encoded_output(scored.output)"
    text = path.read_text(encoding="utf-8")
    assert right in text
    wrong = 'by.encoded_output({**scored.output, "probability": 1 - scored.output["probability"]})'
    path.write_text(text.replace(right, wrong), encoding="utf-8")


@dataclass(frozen=True)
class Site:
    """A host with the release 1.0, and nginx in front of it."""

    host: TestHost
    url: str
    token: str
    folder: Path


@pytest.fixture(scope="module")
def site(
    require_programs: RequirePrograms,
    new_database: NewDatabase,
    redis_server: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    require_programs("nginx", "wrk")
    folder = tmp_path_factory.mktemp("d")
    with new_database() as database:
        settings = database.model_copy(
            update={
                "redis_url": redis_server.redis_url,
                "kafka_bootstrap": "127.0.0.1:1",  # predictions wait on disk
                "mlflow_store_uri": SecretStr(f"sqlite:///{folder}/mlflow.db"),
                "mlflow_artifacts": str(folder / "artifacts"),
                "api_workers": 1,
                "airflow_url": "",
            }
        )
        register_champion(settings)
        host = make_host(folder, environment_of(settings, folder / "okr"), watch_s=2.0, start_s=120, max_p95_ms=10_000)
        for version in ("1.0", "1.1"):
            install(host.host.root, version)
        install(host.host.root, "1.2-wrong", predict_the_opposite)
        try:
            status, said = host.deploy("release", "1.0")
            assert status == 0, said
            with (
                ColourClient(host.host.current_socket) as client,
                nginx(folder / "nginx", host.host.current_socket) as url,
            ):
                client.log_in("app", settings.require("app_password"))
                yield Site(host, url, client.token, folder)
        finally:
            host.stop_all()


def test_a_good_release_and_a_rollback_lose_no_request(site: Site) -> None:
    with wrk(site.url, site.folder, site.token, ROWS[0]) as load:
        started = time.monotonic()
        status, said = site.host.deploy("release", "1.1")
        deployed_s = time.monotonic() - started
        assert status == 0, said
        assert f"{len(ROWS)} golden rows have the expected predictions." in said
        started = time.monotonic()
        status, undone = site.host.deploy("rollback")
        back_s = time.monotonic() - started
        assert status == 0, undone
    assert load.failed == 0, load.text
    assert re.search(r"(\d+) requests, 0\.0% failed", said), said
    assert running_release(site.host.host, site.host.units, "okr-api@blue") == "1.0"
    report(
        "A deployment and a rollback of the API under constant load, through nginx",
        ("", "time", "requests", "failed"),
        [
            ("deployment, of which 2 s watching", f"{deployed_s:.1f} s", f"{load.requests:,} (both)", "0"),
            ("rollback to a release that is stopped", f"{back_s:.1f} s", "", "0"),
        ],
    )


def test_a_release_that_predicts_wrongly_never_serves(site: Site) -> None:
    with wrk(site.url, site.folder, site.token, ROWS[0]) as load:
        status, said = site.host.deploy("release", "1.2-wrong")
    assert status == 1
    assert "Golden row 1: expected probability = " in said, said
    assert load.failed == 0, load.text
    assert running_release(site.host.host, site.host.units, "okr-api@blue") == "1.0"
    assert running_release(site.host.host, site.host.units, "okr-api@green") is None


def test_twenty_switches_lose_no_request(site: Site) -> None:
    host, green = site.host.host, "okr-api@green"
    links.assign(host, "green", "1.1")
    with exported({name: value for name, value in site.host.environment.items() if name.startswith("OKR_")}):
        site.host.units.start(green)
    until(lambda: listens(host.socket("green")), "green listens")
    with ColourClient(host.socket("green")) as client:
        client.wait_until_ready(60, lambda: site.host.units.pid(green) is not None)
    with wrk(site.url, site.folder, site.token, ROWS[0]) as load:
        for number in range(SWITCHES):
            links.switch(host, ("green", "blue")[number % 2])
            time.sleep(0.3)
    site.host.units.stop(green)
    assert load.failed == 0, load.text
    assert load.requests > 10 * SWITCHES
    report(
        "Switches between two running colours under constant load, through nginx",
        ("switches there and back", "requests", "failed"),
        [(str(SWITCHES), f"{load.requests:,}", str(load.failed))],
    )
