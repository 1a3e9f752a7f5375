"""What would cost every request time: dependencies that run in a thread, slow defaults, and the search for a route."""

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_flat_dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from serving.app import _with_routes
from serving.auth.authorization import RequireSession, same_origin
from serving.data.live_routes import FollowingLogin
from serving.http.strict_requests import StrictRoute
from serving.web.password_page import _pages

# Pages ask Redis for the session in any case, and a stream of events starts only once.
IN_A_THREAD = {RequireSession, same_origin, _pages, FollowingLogin}
PATHS = (
    "/", "/v1", "/v1/key-results", "/v1/key-results/a", "/v1/key-results/a/definition", "/v1/key-results/a/b/archival",
    "/v1/key-resultsx", "/v1/users/a/activity", "/models/m/load", "/admin/accounts/a", "/predict", "/unknown", "",
)  # fmt: skip


@pytest.fixture(scope="module")
def app() -> FastAPI:
    """The routes, without services."""
    return _with_routes()


@pytest.fixture(scope="module")
def routes(app: FastAPI) -> list[StrictRoute]:
    """All strict routes."""
    return [route for route in app.routes if isinstance(route, StrictRoute)]


def test_dependencies_and_endpoints_are_coroutines_so_that_a_request_changes_the_thread_once(
    routes: list[StrictRoute],
) -> None:
    threaded = {call for route in routes for call in _calls(route.dependant) if not _is_coroutine(call)}
    assert {
        call if inspect.isroutine(call) or inspect.isclass(call) else type(call) for call in threaded
    } <= IN_A_THREAD


def test_query_models_have_no_default_factory_whose_signature_fastapi_would_inspect_for_each_request(
    routes: list[StrictRoute],
) -> None:
    models = {
        parameter.field_info.annotation
        for route in routes
        for parameter in get_flat_dependant(route.dependant).query_params
    }
    fields = [field for model in models if _is_model(model) for field in model.model_fields.values()]
    assert fields
    assert all(field.default_factory is None for field in fields)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("root_path", ["", "/v1"])
def test_comparing_the_literal_start_first_finds_the_same_routes(
    routes: list[StrictRoute], path: str, method: str, root_path: str
) -> None:
    scope = {"type": "http", "path": path, "method": method, "root_path": root_path}
    assert [route.matches(scope) for route in routes] == [APIRoute.matches(route, scope) for route in routes]


def _calls(dependant: Dependant) -> Iterator[Any]:
    yield dependant.call
    for each in dependant.dependencies:
        yield from _calls(each)


def _is_coroutine(call: Any) -> bool:
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(type(call).__call__)


def _is_model(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, BaseModel)
