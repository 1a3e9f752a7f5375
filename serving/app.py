"""Create the FastAPI application: routers, middleware and error handlers for the given services."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Lifespan

from serving.admin.routes import routers as admin
from serving.alerts.routes import router as alerts
from serving.auth.client_address import ProxyHeaders
from serving.auth.login_queue import LoginQueue
from serving.auth.login_routes import keys
from serving.auth.login_routes import router as auth
from serving.auth.session_routes import router as sessions
from serving.check_ins.routes import router as check_ins
from serving.data.lists.routes import router as lists
from serving.data.live_routes import router as live
from serving.data.routes import router as data
from serving.fast_path.fast_features import ByFeatures
from serving.fast_path.fast_predict import ById, FastPredict
from serving.fast_path.fast_protocol import FastApplication
from serving.http import error_responses
from serving.http.access_log import json_writer, text_writer
from serving.http.request_guard import RequestGuard
from serving.limits.load_shedding import LoadShedding
from serving.models.routes import router as models
from serving.observability import health_routes, metrics_routes
from serving.openapi import document as openapi
from serving.predictor.routes import router as predictor
from serving.processes.shutdown_signals import on_shutdown_signal
from serving.services import Services
from serving.web.alerts_page import router as alerts_page
from serving.web.error_pages import presenter
from serving.web.password_page import router as password_page
from serving.web.proxied import router as proxied
from serving.web.routes import router as web
from serving.web.routes import sites
from serving.web.template_renderer import Pages
from serving.writes.routes import router as writes


class Assets(StaticFiles):
    """Static files of the package. Browsers may cache them but must revalidate them before each use."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        """Return the file with a Cache-Control header."""
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "no-cache"
        return response


def create_asgi_app(services: Services) -> ASGIApp:
    """Create what a worker serves: the application, the layers around it, and the fast path beside them."""
    log = json_writer() if services.settings.log_json else text_writer()
    metrics, prediction_log = services.request_metrics, services.prediction_log
    guard = RequestGuard(
        create_app(services),
        api_url=services.settings.api_url,
        admit=services.rate_limits.admit,
        observe=metrics.observe,
        log=log,
    )
    fast = FastPredict(
        hosts=guard.hosts,
        recognise=services.auth.authenticator.cached,
        charge=services.rate_limits.of_identity,
        give_back=services.rate_limits.give_back,
        observe=metrics.observe,
        log=log,
        probabilities=metrics.probabilities,
        by_id=ById(services.prediction.current_answers.newest, prediction_log),
        by_features=ByFeatures(services.prediction.runtime, prediction_log, model_seconds=metrics.model_seconds),
    )
    return FastApplication(ProxyHeaders(guard, trusted=services.auth.trusted_proxies), fast)


def create_app(services: Services) -> FastAPI:
    """Create the application. It starts and stops its services."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        on_shutdown_signal(services.live_stream.stop)
        await to_thread.run_sync(services.start)
        try:
            yield
        finally:
            await to_thread.run_sync(services.stop)

    app = _with_routes(lifespan)
    app.state.services = services
    app.state.pages = Pages()
    app.state.description = openapi.Description(app)
    app.state.threads_of_health = CapacityLimiter(1)
    error_responses.install(app, presenter(app.state.pages))
    app.mount("/static", Assets(directory=str(files("serving.web").joinpath("static"))), name="static")
    app.mount("/docs/assets", Assets(directory=openapi.assets()), name="docs-assets")
    app.add_middleware(LoadShedding)
    app.add_middleware(LoginQueue)
    return app


def describe_api() -> dict[str, Any]:
    """Return the OpenAPI description, without services."""
    return openapi.describe(_with_routes())


def _with_routes(lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    app = FastAPI(
        title="OKR lakehouse", version="1", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None,
        generate_unique_id_function=openapi.operation_id,
    )  # fmt: skip
    v1 = (check_ins, writes, lists, live, data, alerts)
    for router in (
        health_routes.router, metrics_routes.router, auth, sessions, keys, predictor, models, *v1, *admin,
        openapi.router, web, password_page, alerts_page, sites, proxied,
    ):  # fmt: skip
        app.include_router(router)
    return app
