"""Every background thread survives any exception, reports it, and continues its work."""

import ast
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr

import lakehouse
from infra.demo import okr_command
from infra.demo.errors import StepFailed
from infra.demo.peak_memory import PeakMemory
from infra.local import start
from infra.local.stack import Stack
from infra.local.supervisor import Supervisor
from ingestion.landing.announce import Announcer
from ingestion.sources.metrics import collector
from lakehouse.background import BackgroundThread, thread_problems
from lakehouse.errors import PermanentError
from lakehouse.settings import Settings
from tests.polling import until
from tests.throwing import ERRORS, Thrower

ROOT = Path(lakehouse.__file__).parents[1]
PACKAGES = ("lakehouse", "ingestion", "expectations", "ml", "serving", "dags", "infra")
# The only module that may call each of these; all other code uses that module.
PLACES = {
    # One reads a program's messages and ends with it. The other is part of logging, which BackgroundThread needs.
    "threading.Thread": {
        "lakehouse/background.py",
        "infra/backup/program_output.py",
        "lakehouse/log_records/levels.py",
    },
    # One kills a child, the other cancels a statement of a migration; both end with their block.
    "threading.Timer": {"infra/demo/okr_command.py", "infra/migrations/online.py"},
    "httpx.Client": {"lakehouse/http_client.py"},
    # One checks the superuser's login, with a timeout of three seconds. The others read a server of their own.
    "psycopg.connect": {
        "infra/local/postgres.py",
        "infra/backup/restored_postgres.py",
        "infra/backup/temporary_server.py",
    },
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakehouse.background.FIRST_PAUSE_S", 0.01)


def test_a_thread_survives_any_exception_reports_it_and_clears_it_after_a_success(tmp_path: Path) -> None:
    stopping, may_go_well = threading.Event(), threading.Event()

    def turn() -> None:
        may_go_well.wait()
        thread.report_success()
        stopping.wait()

    work = Thrower(turn, *ERRORS)
    thread = BackgroundThread("test", work, stopping, state=tmp_path)
    thread.start()
    until(lambda: work.calls == len(ERRORS) + 1, "all errors were raised")
    assert thread.is_alive
    assert thread.problem is not None
    assert thread.problem.failures == len(ERRORS)
    assert "failed 4 times since" in (thread.concern() or "")
    assert [each.error for each in thread_problems(tmp_path)] == ["MemoryError: "]
    may_go_well.set()
    until(lambda: thread.concern() is None, "the thread is healthy")
    assert thread_problems(tmp_path) == []
    stopping.set()
    thread.join(5)
    assert not thread.is_alive


def test_work_that_returns_by_mistake_is_called_again(tmp_path: Path) -> None:
    stopping = threading.Event()
    calls: list[int] = []
    thread = BackgroundThread("test", lambda: calls.append(1), stopping, state=tmp_path)
    thread.start()
    until(lambda: len(calls) > 2, "it is called again")
    assert thread.problem is not None
    assert "returned although it was not told to stop" in thread.problem.error
    stopping.set()
    thread.join(5)


def test_a_hanging_thread_is_reported() -> None:
    stopping = threading.Event()
    thread = BackgroundThread("test", stopping.wait, stopping)
    thread.start()
    time.sleep(0.05)
    assert "has not completed an iteration" in (thread.concern(silent_limit_s=0.01) or "")
    stopping.set()


class Airflow:
    """An Airflow that accepts every announcement."""

    def __init__(self) -> None:
        self.announced = threading.Event()

    def announce(self) -> bool:
        self.announced.set()
        return True


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_announcing_continues_after_any_exception(tmp_path: Path, error: BaseException) -> None:
    airflow = Airflow()
    airflow.announce = Thrower(airflow.announce, error)  # type: ignore[method-assign]
    announcer = Announcer(airflow, tmp_path)  # type: ignore[arg-type]
    announcer.landed()
    assert airflow.announced.wait(10)
    assert announcer.thread is not None
    assert announcer.thread.is_alive
    announcer.close()


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_measuring_continues_after_any_exception(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    measured = threading.Event()

    def sample() -> Iterator[Any]:
        measured.set()
        return iter(())

    what = collector.Measurement("test", Thrower(sample, error))
    monkeypatch.setattr(collector, "measurements", lambda _settings: [what])
    stop = threading.Event()
    settings = Settings(state=tmp_path, kafka_bootstrap="127.0.0.1:1", dsn_loader=SecretStr(""))
    arguments = {"interval_seconds": 0.02, "stop": stop}
    caller = threading.Thread(target=collector.collect, args=(settings,), kwargs=arguments)
    caller.start()
    assert measured.wait(10)
    stop.set()
    caller.join(20)
    assert not caller.is_alive()


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_the_memory_of_a_demo_is_sampled_after_any_exception(
    test_stack: Stack, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr("infra.demo.peak_memory.SAMPLE_INTERVAL_S", 0.01)
    monkeypatch.setattr("infra.demo.peak_memory.proportional_bytes", Thrower(lambda _processes: 7, error))
    with PeakMemory(test_stack) as memory:
        until(lambda: memory.peak_bytes == 7, "a sample was taken")


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_command_of_a_demo_is_read_to_its_end_after_any_exception(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """No other thread reads its standard error: a dead thread would block it as soon as the pipe is full."""
    monkeypatch.setenv("OKR_STATE", str(tmp_path))
    monkeypatch.setattr(okr_command, "_follow_output", Thrower(okr_command._follow_output, error))
    with pytest.raises(StepFailed, match="OKR_DSN_SERVING"):
        okr_command.okr("publication", "current", log=tmp_path / "demo.log", limit_s=60, fix="-")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_starting_the_stack_ends_after_any_exception_in_one_of_its_threads(
    test_stack: Stack, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """These threads end with the start; one that died without a result would block the others forever."""
    startup = start._Startup(test_stack, cast("Supervisor", None), ("redis",), print)
    monkeypatch.setattr(startup, "_start", Thrower(print, error))
    with pytest.raises(PermanentError, match="The stack did not start"):
        startup.run()


# The module of each thread, and the test that raises in it.
THROWN_INTO = {
    "ingestion/landing/announce.py": "test_announcing_continues_after_any_exception",
    "ingestion/sources/metrics/collector.py": "test_measuring_continues_after_any_exception",
    "serving/auth/credential_watch.py": "test_revocations_are_polled_after_any_exception",
    "serving/observability/latency.py": "test_the_threads_of_requests_continue_after_any_exception",
    "serving/limits/rate_limits.py": "test_the_threads_of_requests_continue_after_any_exception",
    "serving/prediction_log/log.py": "test_the_threads_of_requests_continue_after_any_exception",
    "serving/prediction_log/shipper.py": "test_the_threads_of_requests_continue_after_any_exception",
    "serving/processes/readiness.py": "test_a_worker_becomes_ready_after_any_exception",
    "serving/spool_sender.py": "test_sending_continues_after_any_exception",
    "serving/experiments/guardrails.py": "test_the_model_runtime_continues_after_any_exception",
    "serving/experiments/shadow.py": "test_shadow_arms_predict_after_any_exception",
    "serving/models/runtime.py": "test_the_model_runtime_continues_after_any_exception",
    "serving/predictor/forecast_tables.py": "test_the_model_runtime_continues_after_any_exception",
    "serving/workers/worker_registry.py": "test_the_model_runtime_continues_after_any_exception",
    "infra/demo/peak_memory.py": "test_the_memory_of_a_demo_is_sampled_after_any_exception",
    "infra/demo/okr_command.py": "test_a_command_of_a_demo_is_read_to_its_end_after_any_exception",
}


def test_every_thread_has_a_test_that_raises_in_it() -> None:
    found = set()
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            calls = (node.func for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Call))
            if any(ast.unparse(function).rpartition(".")[2] == "BackgroundThread" for function in calls):
                found.add(str(file.relative_to(ROOT)))
    assert found == set(THROWN_INTO)
    written = {
        node.name
        for file in Path(__file__).parent.glob("test_background*.py")
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }
    assert set(THROWN_INTO.values()) <= written


@pytest.mark.parametrize(("maker", "places"), PLACES.items(), ids=PLACES)
def test_threads_clients_and_connections_are_created_in_few_modules(maker: str, places: set[str]) -> None:
    module, _, name = maker.partition(".")
    found = []
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            if file.is_relative_to(ROOT / "serving" / "client"):  # okr_client, whose wheel contains nothing else
                continue
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                by_name = isinstance(node, ast.ImportFrom) and node.module == module
                if (isinstance(node, ast.Call) and ast.unparse(node.func) == maker) or (
                    by_name and name in {each.name for each in node.names}
                ):
                    found.append(str(file.relative_to(ROOT)))
    assert set(found) == places, f"use one of {sorted(places)} instead of {maker}"
