"""A load directive reaches every worker of every host, survives restarts, and loses no request."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from lakehouse.settings import Settings
from ml import model_registry
from tests.polling import until
from tests.serving.live_server import Api, serving
from tests.serving.published_organisation import STRANGE
from tests.serving.worker_processes import okr_serve

MODEL = model_registry.MODEL_NAME


def load(api: Api, body: dict[str, str]) -> Any:
    return api.client.post(f"/models/{MODEL}/load", json=body, headers=api.headers("admin"))


@pytest.fixture
def champion_again(api: Api) -> Iterator[None]:
    yield
    assert load(api, {"alias": "champion"}).status_code == 200


@contextmanager
def host(settings: Settings, folder: Path, headers: dict[str, str]) -> Iterator[httpx.Client]:
    """Run `okr serve` with a state folder of its own, as on another host, until the block ends."""
    folder.mkdir()
    with (
        okr_serve(settings, folder) as served,
        httpx.Client(base_url=f"http://127.0.0.1:{served.port}", timeout=30, headers=headers) as client,
    ):
        until(lambda: served_by(client) is not None, "its worker has loaded a model")
        yield client


def served_by(client: httpx.Client) -> str | None:
    """Return the version that the worker serves, or None as long as it is the prior."""
    active = client.get("/models").json()["active"]
    return str(active["version"]) if active["role"] in {"champion", "challenger"} else None


@pytest.mark.usefixtures("champion_again")
def test_two_processes_take_a_directive_and_a_later_one_follows_it(api: Api, tmp_path: Path) -> None:
    headers = api.headers()
    with (
        host(api.settings, tmp_path / "one", headers) as one,
        host(api.settings, tmp_path / "other", headers) as other,
    ):
        assert (served_by(one), served_by(other)) == ("1", "1")
        answer = load(api, {"version": "2"})
        assert (answer.status_code, answer.json()["is_loaded"]) == (200, True)
        loading = answer.json()["loading"]
        assert len({worker["process_id"] for worker in loading}) == len(loading) == 3
        for worker in loading:
            active = [each for each in worker["versions"] if each["is_active"]]
            assert [(each["version"], each["role"]) for each in active] == [("2", "challenger")]
            assert active[0]["loaded_at"] > worker["started_at"]
        assert (served_by(one), served_by(other)) == ("2", "2")
    with serving(api.settings) as later:
        later.client.headers.update(headers)
        until(lambda: served_by(later.client) == "2", "a restarted worker follows the directive")
        listed = later.client.get("/models").json()
    assert listed["models"][0]["directive"]["created_by"] == "admin"
    assert listed["detail"] == "Version 2 was loaded manually and is not the champion."


@pytest.mark.usefixtures("champion_again")
def test_a_worker_that_cannot_load_a_version_says_so_and_keeps_the_old_one(api: Api, tmp_path: Path) -> None:
    empty = api.settings.model_copy(update={"mlflow_store_uri": SecretStr(f"sqlite:///{tmp_path}/empty.db")})
    with serving(empty) as other:
        until(lambda: other.services.prediction.runtime.current(MODEL).active is not None, "it serves")
        answer = load(api, {"version": "2"})
        assert (answer.status_code, answer.json()["is_loaded"]) == (202, False)
        problems = {worker["problem"] for worker in answer.json()["loading"] if worker["problem"] is not None}
        assert any("The registry has no version or alias '2'" in problem for problem in problems)
        assert answer.json()["active"]["version"] == "2", "the worker that can has loaded it"
        health = other.services.health.state()[1]["model"]
        assert (health["status"], health["role"]) == ("degraded", "prior")


@pytest.mark.usefixtures("champion_again")
def test_no_request_fails_while_versions_are_swapped(api: Api, app_headers: dict[str, str]) -> None:
    statuses: list[int] = []
    versions: set[str] = set()
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=api.client.base_url, timeout=30, headers=app_headers) as client:
            while not stop.is_set():
                answer = client.post("/predict", json={"key_result_ids": list(STRANGE)[:2]})
                statuses.append(answer.status_code)
                versions.update(str(each["model_version"]) for each in answer.json()["predictions"])
                time.sleep(0.03)  # the rate limit is not the subject

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for version in ("2", "1", "2"):
        assert load(api, {"version": version}).status_code == 200
        time.sleep(0.2)
    stop.set()
    for thread in threads:
        thread.join(30)
    assert set(statuses) == {200}
    assert len(statuses) > 10
    assert versions == {"1", "2"}


def test_a_version_stays_loaded_while_nothing_changes(api: Api) -> None:
    runtime = api.services.prediction.runtime
    before = runtime.current(MODEL)
    runtime.wake()
    runtime.look()
    assert runtime.current(MODEL) is before, "loaded_at says since when it serves, and prepared answers stay valid"
