"""Every background thread of the API survives any exception and continues its work."""

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import redis

from ingestion.spool import Spool
from lakehouse.errors import RetryableError
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.settings import Settings
from serving.auth import credential_watch
from serving.auth.credential_watch import CredentialWatch
from serving.experiments.guardrails import GuardrailWatch
from serving.experiments.observations import Observations
from serving.experiments.shadow import ShadowScorer
from serving.http.request_metrics import RequestMetrics
from serving.limits.rate_limits import RateLimits
from serving.limits.rate_plan import RatePlans
from serving.limits.token_bucket import SharedBuckets
from serving.models.catalog import Catalog
from serving.models.runtime import ModelRuntime
from serving.observability.latency import LatencyReporter
from serving.prediction_log import PredictionLog, Shipper
from serving.prediction_log.log import LogLimits
from serving.predictor.forecast_cache import ForecastCache
from serving.predictor.forecast_tables import ForecastTables
from serving.processes.readiness import Readiness
from serving.publication_reader import Warehouse
from serving.spool_sender import SpoolSender
from serving.workers.worker_registry import WorkerRegistry
from tests.polling import until
from tests.throwing import ERRORS, Thrower


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakehouse.background.FIRST_PAUSE_S", 0.01)


@pytest.fixture
def sender(tmp_path: Path) -> Iterator[SpoolSender]:
    """A sender whose broker is unreachable."""
    sender = SpoolSender(KafkaConnection("127.0.0.1:1"), Spool(tmp_path / "spool", "okr-api"))
    yield sender
    sender.stop()


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_sending_continues_after_any_exception(
    sender: SpoolSender, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    drained = threading.Event()
    monkeypatch.setattr(sender, "_drain_once", Thrower(lambda _drainer: drained.set(), error))
    monkeypatch.setattr("serving.spool_sender.IDLE_S", 0.01)
    sender.start()
    assert drained.wait(10)
    assert sender.is_sending


@pytest.fixture
def request_threads(tmp_path: Path, sender: SpoolSender) -> Iterator[dict[str, tuple[Any, Any]]]:
    """The parts of the API that have a thread, with the object whose method the thread calls in a loop."""
    metrics, folder = RequestMetrics(), tmp_path / "predictions"
    plans = RatePlans(Warehouse("postgresql://nobody@127.0.0.1:9/none"))
    limits = RateLimits(plans, SharedBuckets(redis.Redis(port=9)), lambda _header, _cookie: None)
    log, shipper = PredictionLog(folder, LogLimits(1_000_000)), Shipper(folder, KafkaConnection("127.0.0.1:1"))
    parts: dict[str, tuple[Any, Any]] = {
        "export": (LatencyReporter(metrics, sender, window_s=0.02), metrics),
        "refresh": (limits, plans),
        "_flush": (log, log),
        "ship": (shipper, shipper),
    }
    folder.mkdir()
    yield parts
    for part, _ in parts.values():
        part._stopping.set()


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("method", ["export", "refresh", "_flush", "ship"])
def test_the_threads_of_requests_continue_after_any_exception(
    request_threads: dict[str, tuple[Any, Any]], monkeypatch: pytest.MonkeyPatch, method: str, error: BaseException
) -> None:
    called = threading.Event()
    part, owner = request_threads[method]
    monkeypatch.setattr(owner, method, Thrower(called.set, error))
    part.start()
    assert called.wait(10)
    assert part.thread.is_alive


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_revocations_are_polled_after_any_exception(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    polled, connection = threading.Event(), SimpleNamespace(close=lambda: None)
    monkeypatch.setattr(credential_watch, "connect", lambda *_, **__: connection)
    revocations = SimpleNamespace(poll=Thrower(lambda _connection: polled.set(), error))
    others = SimpleNamespace(load_from=lambda _connection: None, flush=lambda _connection: None)
    watch = CredentialWatch("", cast("Any", revocations), cast("Any", others), cast("Any", others), state=tmp_path)
    watch.start()
    assert polled.wait(10)
    watch.stop()


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_worker_becomes_ready_after_any_exception(tmp_path: Path, error: BaseException) -> None:
    readiness = Readiness(Thrower(lambda: None, RetryableError("the warehouse is unavailable"), error), {}, tmp_path)
    readiness.start()
    until(lambda: not readiness.missing(), "the worker is ready")
    readiness.stop()


@pytest.fixture
def model_threads(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The parts of the model runtime that have a thread, by the method that the thread calls in a loop."""
    warehouse = Warehouse("postgresql://nobody@127.0.0.1:9/none")
    workers = WorkerRegistry(warehouse, tmp_path, heartbeat_s=0.02)
    runtime = ModelRuntime(Settings(state=tmp_path), warehouse, Catalog([]), workers, poll_s=0.02)
    cache = ForecastCache(redis.Redis(port=9))
    parts = {
        "heartbeat": workers,
        "look": runtime,
        "_look": ForecastTables(warehouse, cache, runtime, look_every_s=0.02),
        "check": GuardrailWatch(warehouse, runtime, Observations(), check_every_s=0.02),
    }
    yield parts
    for part in parts.values():
        part._stopping.set()


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("method", ["heartbeat", "look", "_look", "check"])
def test_the_model_runtime_continues_after_any_exception(
    model_threads: dict[str, Any], monkeypatch: pytest.MonkeyPatch, method: str, error: BaseException
) -> None:
    called = threading.Event()
    part = model_threads[method]
    monkeypatch.setattr(part, method.strip("_"), Thrower(called.set, error))
    part.start()
    assert called.wait(10)
    assert part.thread.is_alive


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_shadow_arms_predict_after_any_exception(tmp_path: Path, error: BaseException) -> None:
    log = PredictionLog(tmp_path / "predictions", LogLimits(1_000_000))
    shadows, called = ShadowScorer(log, tmp_path), threading.Event()
    task = Thrower(lambda: called.set() or [], error)
    shadows.submit(task)
    shadows.submit(task)
    shadows.start()
    assert called.wait(10)
    shadows.stop()
