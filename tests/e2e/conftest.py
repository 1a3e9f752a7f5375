"""One whole stack for the tests of this folder, in a path with spaces that is too long for a socket."""

from collections.abc import Iterator

import pytest

from infra.demo.airflow_client import Airflow
from infra.local import kafka_jars
from infra.local.stack import open_stack
from lakehouse.settings import load_settings
from tests.e2e.running_stack import Running, run_okr


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    kafka_jars.fetch(print)  # through the caller's proxy, which is right; the proxy of the hostile environment is not
    state = tmp_path_factory.mktemp("e2e") / "a path with spaces" / ("deep" * 20) / "state"
    try:
        answer = run_okr(state, "demo", "--scale", "small")
        assert answer.returncode == 0, f"{answer.stdout[-3000:]}\n{answer.stderr[-3000:]}"
        stack = open_stack(state)
        assert stack is not None
        yield Running(stack, load_settings(state), answer.stdout)
    finally:
        run_okr(state, "down")


@pytest.fixture
def airflow(running: Running) -> Iterator[Airflow]:
    """A logged-in client of the stack's Airflow."""
    with Airflow(running.settings) as client:
        yield client
