"""POST /predict by key result id, compared with model servers: CPU time per request.

Each serves the trees of the same version and answers one row per request; ours also checks the login and the rate
limit, records the prediction and returns reasons. `mlflow models serve` runs in our environment, the others in their
own ones (`make bench-peers`). CPU time includes all processes of a server.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from infra.local.ports import choose
from lakehouse.settings import Settings
from ml import model_registry
from ml.design_matrix import BOOSTED
from ml.golden_rows import ROWS
from tests.benchmarks.served_api import *  # noqa: F403 -- the fixtures
from tests.benchmarks.served_api import HEADER, Contender, Target, compare, is_listening, median, row_of
from tests.benchmarks.wrk import pinned, post_script
from tests.figures import report
from tests.polling import until
from tests.serving.conftest import *  # noqa: F403 -- the published organisation

pytestmark = pytest.mark.timeout(3_600)

HERE = Path(__file__).parent
# Read now, because tests run without the variables of the caller.
MLSERVER, BENTOML = [Path(os.environ.get(name, "")) for name in ("OKR_MLSERVER", "OKR_BENTOML")]
CONNECTIONS = 16
START_S = 120.0
MIN_FACTORS = {"mlflow models serve": 120, "MLServer": 12, "BentoML": 20}
SAVE = """
import sys, mlflow.models, mlflow.xgboost, pandas, xgboost
booster = xgboost.Booster(params={"nthread": 1}, model_file=sys.argv[1])
example = pandas.DataFrame([[0.5] * booster.num_features()], columns=booster.feature_names)
signature = mlflow.models.infer_signature(example, [0.5])  # as MLflow recommends; it validates requests by it
mlflow.xgboost.save_model(booster, sys.argv[2], model_format="ubj", signature=signature)
"""
ROW = [float(ROWS[0][name] or 0.0) for name in BOOSTED]
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def trees(published: Settings, full_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the trees that all serve."""
    file = tmp_path_factory.mktemp("trees") / "trees.ubj"
    file.write_bytes(model_registry.load(published, full_model).trees.ubj)
    return file


@contextmanager
def running(command: Sequence[str], environment: Mapping[str, str], folder: Path, url: str) -> Iterator[psutil.Process]:
    """Run a server on the server's core."""
    with (folder / "server.log").open("wb") as output:
        process = subprocess.Popen(
            pinned(list(command)), env={**os.environ, **environment}, cwd=folder, stdout=output, stderr=output
        )
    try:
        until(lambda: process.poll() is not None or is_listening(url), f"{command} answers", seconds=START_S)
        assert process.poll() is None, (folder / "server.log").read_text()[-3000:]
        yield psutil.Process(process.pid)
    finally:
        children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.terminate()
        try:
            process.wait(20)
        finally:
            for each in (process, *(child for child in children if child.is_running())):
                each.kill()


@contextmanager
def mlflow_server(trees: Path, folder: Path) -> Iterator[Contender]:
    """Run `mlflow models serve`."""
    subprocess.run([sys.executable, "-W", "ignore", "-c", SAVE, trees, folder / "model"], check=True)
    port = choose(set())
    url = f"http://127.0.0.1:{port}/invocations"
    program = Path(sys.executable).with_name("mlflow")
    command = [str(program), "models", "serve", "-m", "model", "-p", str(port), "-w", "1", "--env-manager", "local"]
    body = {"dataframe_split": {"columns": list(BOOSTED), "data": [ROW]}}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with running(command, {"PATH": path}, folder, url) as process:
        yield Contender("mlflow models serve", process, url, script(folder, body))


@contextmanager
def mlserver(trees: Path, folder: Path) -> Iterator[Contender]:
    """Run MLServer."""
    port, others = choose(set()), [choose(set()) for _ in range(2)]
    settings = {"http_port": port, "grpc_port": others[0], "metrics_port": others[1], "parallel_workers": 0}
    (folder / "settings.json").write_text(json.dumps({**settings, "host": "127.0.0.1", "debug": False}))
    (folder / "model-settings.json").write_text(
        json.dumps({"name": "forecast", "implementation": "mlserver_forecast.Forecast"})
    )
    program = MLSERVER / "mlserver"
    url = f"http://127.0.0.1:{port}/v2/models/forecast/infer"
    body = {"inputs": [{"name": "rows", "shape": [1, len(ROW)], "datatype": "FP64", "data": ROW}]}
    environment = {"OKR_TREES": str(trees), "PYTHONPATH": str(HERE)}
    with running([str(program), "start", "."], environment, folder, url) as process:
        yield Contender("MLServer", process, url, script(folder, body))


@contextmanager
def bentoml(trees: Path, folder: Path) -> Iterator[Contender]:
    """Run BentoML."""
    port = choose(set())
    program = BENTOML / "bentoml"
    url = f"http://127.0.0.1:{port}/predict"
    environment = {
        "OKR_TREES": str(trees), "BENTOML_HOME": str(folder), "BENTOML_DO_NOT_TRACK": "true",
        "PATH": f"{program.parent}:{os.environ['PATH']}",
    }  # fmt: skip
    command = [str(program), "serve", "bento_forecast:Forecast", "--working-dir", str(HERE), "--port", str(port)]
    with running([*command, "--host", "127.0.0.1"], environment, folder, url) as process:
        yield Contender("BentoML", process, url, script(folder, {"rows": [ROW]}))


def script(folder: Path, body: object) -> Path:
    """Write a script that posts one body."""
    return post_script(folder / "post.lua", [json.dumps(body).encode()], JSON)


def test_a_request_takes_a_small_part_of_the_cpu_time_of_model_servers(
    target: Target, key_result_ids: list[str], trees: Path, tmp_path: Path
) -> None:
    bodies = [json.dumps({"key_result_ids": [each]}).encode() for each in key_result_ids]
    by_id = post_script(tmp_path / "post.lua", bodies, target.headers)
    with ExitStack() as servers:
        peers = []
        for name, start in (("mlflow", mlflow_server), ("mlserver", mlserver), ("bentoml", bentoml)):
            (tmp_path / name).mkdir()
            peers.append(servers.enter_context(start(trees, tmp_path / name)))
        ours = Contender("POST /predict by id", target.supervisor, f"{target.url}/predict", by_id)
        loads = compare(ours, *peers, connections=CONNECTIONS)
    own = loads[ours.name]
    report(
        "One prediction per request, compared with model servers",
        HEADER,
        [row_of(name, found, own) for name, found in loads.items()],
        "The ratios compare each server with this API (first row). Targets: at most 1/120 of the CPU time of `mlflow "
        "models serve`, 1/12 of MLServer and 1/20 of BentoML.",
    )
    for name, factor in MIN_FACTORS.items():
        assert median(loads[name], "cpu_us") / median(own, "cpu_us") >= factor, name
