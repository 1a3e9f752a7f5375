"""Report whether the service can respond and which of its dependencies have failed (GET /health)."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import redis

from ingestion.spool import SpoolState
from lakehouse.background import BackgroundThread
from lakehouse.errors import OkrError
from lakehouse.logs import get_logger
from serving.data.live_figures import LiveFigures
from serving.errors import NotPublished
from serving.models.catalog import DEFAULT_MODEL
from serving.models.runtime import ModelRuntime
from serving.prediction_log import PredictionLog
from serving.publication_holds import PublicationHolds, hold_summary
from serving.publication_reader import Warehouse
from serving.spool_sender import SpoolSender

State = Literal["ok", "degraded", "unavailable"]
Check = dict[str, Any]
BEHIND_S = 10.0  # predictions are usually sent within 0.2 s


class Health:
    """Checks all dependencies. The service is unavailable without the warehouse, and degraded without another."""

    def __init__(  # noqa: PLR0913 -- one parameter for each dependency
        self,
        warehouse: Warehouse,
        cache: "redis.Redis",
        runtime: ModelRuntime,
        *,
        write_sender: SpoolSender,
        telemetry_sender: SpoolSender,
        prediction_log: PredictionLog,
        threads: Sequence[BackgroundThread],
    ) -> None:
        self._warehouse = warehouse
        self._holds = PublicationHolds(warehouse)
        self._live = LiveFigures(cache)
        self._cache = cache
        self._runtime = runtime
        self._write_sender = write_sender
        self._telemetry_sender = telemetry_sender
        self._prediction_log = prediction_log
        self._threads = threads

    def state(self) -> tuple[State, dict[str, Check]]:
        """Return the overall state and the result for each dependency."""
        checks_by_name: dict[str, Callable[[], Check]] = {
            "warehouse": self._check_warehouse,
            "redis": self._check_redis,
            "publication": self._check_publication,
            "model": self._check_model,
            "events": lambda: _check_sender(self._write_sender),
            "prediction_log": lambda: _check_prediction_log(self._prediction_log),
            "telemetry": lambda: _check_sender(self._telemetry_sender),
            "threads": self._check_threads,
            "live_figures": self._check_live_figures,
        }
        checks = {name: _timed(check) for name, check in checks_by_name.items()}
        if checks["warehouse"]["status"] != "ok":
            return "unavailable", checks
        return ("ok" if all(check["status"] == "ok" for check in checks.values()) else "degraded"), checks

    def _check_warehouse(self) -> Check:
        with self._warehouse.connection() as connection:
            connection.execute("SELECT 1")
        return {"status": "ok"}

    def _check_redis(self) -> Check:
        self._cache.ping()
        return {"status": "ok"}

    def _check_publication(self) -> Check:
        hold = hold_summary(self._holds.current())
        fields = {"held_since": hold[0].isoformat(), "hold_reason": hold[1]} if hold else {}
        try:
            now = self._warehouse.publication()
        except NotPublished as error:
            return {"status": "degraded", "detail": str(error), **fields}
        return {
            "status": "degraded" if hold else "ok",
            "publication_id": now.publication_id,
            "data_as_of": now.data_as_of.isoformat(),
            **fields,
        }

    def _check_live_figures(self) -> Check:
        figures = self._live.read()
        if figures is None:
            return {"status": "unavailable", "detail": "Redis does not respond."}
        figure = figures["active_users"]
        as_of = None if figure["as_of"] is None else figure["as_of"].isoformat()
        if figure["value"] is not None:
            return {"status": "ok", "as_of": as_of}
        detail = "The state consumer has not confirmed this figure recently; `okr status` shows whether okr-state runs."
        return {"status": "degraded", "as_of": as_of, "detail": detail}

    def _check_model(self) -> Check:
        state = self._runtime.current(DEFAULT_MODEL)
        states = [self._runtime.current(model.name) for model in self._runtime.catalog]
        problems = [problem for each in states if (problem := each.problem or each.why)]
        return {
            "status": "degraded" if problems else "ok",
            "name": None if state.active is None else state.active.name,
            "version": None if state.active is None else state.active.version,
            "role": None if state.active is None else state.active.role,
            "detail": " ".join(problems) or None,
        }

    def _check_threads(self) -> Check:
        concerns = [concern for thread in self._threads if (concern := thread.concern())]
        return {"status": "degraded", "detail": " ".join(concerns)} if concerns else {"status": "ok"}


def _check_sender(sender: SpoolSender) -> Check:
    spool = sender.state()
    check: Check = {
        "status": "ok",
        **{name: sender.counts[name] for name in ("posted", "sent", "not_persisted")},
        "waiting": spool.waiting,
        "rejected": spool.rejected,
    }
    if problem := _events_problem(sender, spool):
        check |= {"status": "degraded", "detail": problem}
    return check


def _check_prediction_log(prediction_log: PredictionLog) -> Check:
    state = prediction_log.state()
    check: Check = {
        "status": "ok",
        **{name: prediction_log.counts[name] for name in ("posted", "not_persisted")},
        "bytes": state.bytes,
        "seconds_behind": round(state.seconds_behind, 1),
    }
    if state.seconds_behind > BEHIND_S:
        check |= {"status": "degraded", "detail": "Predictions wait on disk until the broker accepts them."}
    return check


def _events_problem(sender: SpoolSender, spool: SpoolState) -> str | None:
    """Return the current problem with sending this service's events, or None. Resolved problems are not reported."""
    if not sender.is_sending:
        return "The sending thread has stopped: no event is sent until the service is restarted."
    if sender.problem is not None:
        return "Events wait on disk until the broker accepts them; the log has its error."
    if spool.rejected:
        return "The broker permanently rejected events: `okr produce spool status` shows them."
    return None


def _timed(run: Callable[[], Check]) -> Check:
    started = time.perf_counter()
    try:
        check = run()
    except NotPublished as error:
        check = {"status": "degraded", "detail": str(error)}
    except (OkrError, redis.RedisError) as error:
        get_logger(__name__).warning("a health check failed", error=str(error))
        check = {"status": "unavailable", "detail": type(error).__name__}
    return {**check, "took_ms": round((time.perf_counter() - started) * 1000, 1)}
