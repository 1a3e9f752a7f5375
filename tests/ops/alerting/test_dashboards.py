"""Every query of the dashboards on a real Prometheus that watches a running stack with data."""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from infra.grafana.generate import BOARDS
from infra.local import kafka_jars
from infra.local.ports import LOOPBACK
from infra.local.stack import open_stack
from lakehouse.settings import Settings, load_settings
from tests.e2e.running_stack import run_okr
from tests.figures import report
from tests.ops.conftest import RequirePrograms
from tests.polling import until

# What a stack that has just been filled cannot have yet, and why. Their metrics are in metrics.toml all the same.
EMPTY = {
    "okr_forecast_": "no served forecast has an outcome yet",
    "okr_feature_drift_psi": "drift needs more requests than this test sends",
    "okr_prediction_drift_psi": "drift needs more requests than this test sends",
}


TOO_LARGE = b"x" * 1_200_000


@dataclass(frozen=True)
class Watched:
    """A stack with Prometheus."""

    prometheus: httpx.Client
    settings: Settings

    def answers(self, expression: str) -> int:
        """Return the number of series in the answer to a query."""
        answer = self.prometheus.post("/api/v1/query", data={"query": expression})
        assert answer.status_code == 200, f"{expression}: {answer.text}"
        return len(answer.json()["data"]["result"])

    def use_the_api(self) -> None:
        """Send requests to several routes, also for a forecast and for what does not exist."""
        login = {"username": "app", "password": self.settings.require("app_password")}
        with httpx.Client(base_url=self.settings.api_url, timeout=30) as client:
            token = client.post("/auth/token", data=login).raise_for_status().json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            listed = client.get("/v1/key-results", params={"limit": 20}).raise_for_status().json()
            ids = [each["key_result_id"] for each in listed["key_results"]]
            client.post("/predict", json={"key_result_ids": ids}).raise_for_status()
            for path in ("/v1/okr-progress", "/v1/system-health", "/v1/key-results/none"):
                client.get(path)
            assert client.post("/predict", content=TOO_LARGE).status_code == 413, "it is refused before its route"


@pytest.fixture(scope="module")
def watched(require_programs: RequirePrograms, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    require_programs("prometheus", "prometheus-node-exporter", "prometheus-postgres-exporter",
                     "prometheus-redis-exporter", "nginx")  # fmt: skip
    kafka_jars.fetch(print)
    state = tmp_path_factory.mktemp("watched") / "state"
    try:
        for arguments in (("demo", "--scale", "small"), ("up", "--monitoring", "--tls")):
            answer = run_okr(state, *arguments)
            assert answer.returncode == 0, f"{answer.stdout[-3000:]}\n{answer.stderr[-3000:]}"
        stack = open_stack(state)
        assert stack is not None
        url = f"http://{LOOPBACK}:{stack.port('prometheus')}"
        with httpx.Client(base_url=url, timeout=30) as client:
            yield Watched(client, load_settings(state))
    finally:
        run_okr(state, "down")


def is_expected_to_be_empty(expression: str) -> bool:
    return any(start in expression for start in EMPTY)


@pytest.mark.timeout(2_400)
def test_every_query_of_the_dashboards_has_an_answer(watched: Watched) -> None:
    queries = sorted({(board.name, panel, query) for board in BOARDS for panel, query in board.queries})
    assert len(queries) > 60
    expected = [each for each in queries if not is_expected_to_be_empty(each[2])]
    empty = list(expected)

    def all_have_answers() -> bool:
        watched.use_the_api()
        empty[:] = [each for each in empty if not watched.answers(each[2])]
        return not empty

    try:
        until(all_have_answers, "every query has an answer", 600, 10)
    except AssertionError:
        pytest.fail("No answer to: " + "; ".join(f"{board}, {panel}: {query}" for board, panel, query in empty))
    early = [each for each in queries if is_expected_to_be_empty(each[2])]
    answered = len(expected) + sum(watched.answers(query) > 0 for _, _, query in early)
    report(
        "Dashboards: queries on a running stack",
        ["dashboards", "queries", "parsed", "with an answer", "without data yet"],
        [[str(len(BOARDS)), str(len(queries)), str(len(queries)), str(answered), str(len(queries) - answered)]],
        "Without data yet: drift, and the quality of forecasts, whose outcomes are not known on the first day.",
    )
