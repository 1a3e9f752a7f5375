"""GET /health: whether the service lives, and what it lacks."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import redis
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from ingestion.spool import SpoolState
from lakehouse.background import BackgroundThread
from lakehouse.errors import OkrError
from lakehouse.logs import get_logger
from serving.data.live_figures import LiveFigures
from serving.errors import NotPublished
from serving.outbox import Outbox
from serving.predictor.active_model import ActiveModel
from serving.publication_holds import PublicationHolds, hold_summary
from serving.publication_reader import Warehouse
from serving.strict_requests import StrictRoute

router = APIRouter(tags=["health"], route_class=StrictRoute)

State = Literal["ok", "degraded", "unavailable"]
Check = dict[str, Any]


class Health:
    """Asks every part that answers depend on. Without the warehouse nothing can be answered; the rest degrades."""

    def __init__(  # noqa: PLR0913 -- every part that is asked
        self,
        warehouse: Warehouse,
        cache: "redis.Redis",
        active_model: ActiveModel,
        *,
        outbox: Outbox,
        forecast_log: Outbox,
        threads: Sequence[BackgroundThread],
    ) -> None:
        self._warehouse = warehouse
        self._holds = PublicationHolds(warehouse)
        self._live = LiveFigures(cache)
        self._cache = cache
        self._active_model = active_model
        self._outbox = outbox
        self._forecast_log = forecast_log
        self._threads = threads

    def state(self) -> tuple[State, dict[str, Check]]:
        """Return the worst state, and each part with its detail."""
        parts: dict[str, Callable[[], Check]] = {
            "warehouse": self._ask_warehouse,
            "redis": self._ask_redis,
            "publication": self._ask_publication,
            "model": self._ask_model,
            "events": lambda: _ask_outbox(self._outbox),
            "forecast_log": lambda: _ask_outbox(self._forecast_log),
            "threads": self._ask_threads,
            "live_figures": self._ask_live_figures,
        }
        checks = {name: _timed(ask) for name, ask in parts.items()}
        if checks["warehouse"]["status"] != "ok":
            return "unavailable", checks
        return ("ok" if all(check["status"] == "ok" for check in checks.values()) else "degraded"), checks

    def _ask_warehouse(self) -> Check:
        with self._warehouse.connection() as connection:
            connection.execute("SELECT 1")
        return {"status": "ok"}

    def _ask_redis(self) -> Check:
        self._cache.ping()
        return {"status": "ok"}

    def _ask_publication(self) -> Check:
        held = hold_summary(self._holds.current())
        hold = {"held_since": held[0].isoformat(), "hold_reason": held[1]} if held else {}
        try:
            now = self._warehouse.publication()
        except NotPublished as error:
            return {"status": "degraded", "detail": str(error), **hold}
        told = {"publication_id": now.publication_id, "data_as_of": now.data_as_of.isoformat()}
        return {"status": "degraded" if held else "ok", **told, **hold}

    def _ask_live_figures(self) -> Check:
        figures = self._live.read()
        if figures is None:
            return {"status": "unavailable", "detail": "Redis does not answer."}
        figure = figures["active_users"]
        as_of = None if figure["as_of"] is None else figure["as_of"].isoformat()
        if figure["value"] is not None:
            return {"status": "ok", "as_of": as_of}
        told = "The state consumer has confirmed no live figure lately: `okr status` tells whether okr-state runs."
        return {"status": "degraded", "as_of": as_of, "detail": told}

    def _ask_model(self) -> Check:
        answering = self._active_model.in_use
        told = {"name": answering.name, "version": answering.version, "role": answering.role}
        return {
            "status": "ok" if self._active_model.trouble is None else "degraded",
            **told,
            "detail": self._active_model.trouble,
        }

    def _ask_threads(self) -> Check:
        concerns = [concern for thread in self._threads if (concern := thread.concern())]
        return {"status": "degraded", "detail": " ".join(concerns)} if concerns else {"status": "ok"}


def _ask_outbox(outbox: Outbox) -> Check:
    spool = outbox.state()
    check: Check = {
        "status": "ok",
        **{name: outbox.counts[name] for name in ("posted", "sent", "not_persisted")},
        "waiting": spool.waiting,
        "rejected": spool.rejected,
    }
    if trouble := _events_trouble(outbox, spool):
        check |= {"status": "degraded", "detail": trouble}
    return check


def _events_trouble(outbox: Outbox, spool: SpoolState) -> str | None:
    """Say what is wrong with our own events now; what was wrong and is over is not reported."""
    if not outbox.is_sending:
        return "The sending thread has ended: no event is sent until the service is restarted."
    if outbox.trouble is not None:
        return "Events wait on disk until the broker takes them; the log says what it answered."
    if spool.rejected:
        return "The broker permanently rejected events: `okr produce spool status` shows them."
    return None


def _timed(ask: Callable[[], Check]) -> Check:
    started = time.perf_counter()
    try:
        check = ask()
    except NotPublished as error:
        check = {"status": "degraded", "detail": str(error)}
    except (OkrError, redis.RedisError) as error:
        get_logger(__name__).warning("a health check failed", error=str(error))
        check = {"status": "unavailable", "detail": type(error).__name__}
    return {**check, "took_ms": round((time.perf_counter() - started) * 1000, 1)}


@router.get("/health")
def health(request: Request) -> JSONResponse:
    """Tell whether the service can answer. 503 only without the warehouse; what else is missing is told as degraded."""
    asked: Health = request.app.state.services.health
    state, checks = asked.state()
    body = {"status": state, "checks": checks}
    return JSONResponse(body, status_code=503 if state == "unavailable" else 200)
