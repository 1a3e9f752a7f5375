"""One whole stack for this folder's tests, in a path with a space and deeper than a socket's path may be."""

from collections.abc import Iterator

import pytest

from infra.demo.airflow_client import Airflow
from infra.local.stack import open_stack
from lakehouse.settings import load_settings
from tests.e2e.stack import Running, run_okr


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
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
    """A client that is logged in to the stack's Airflow."""
    with Airflow(running.settings) as client:
        yield client
