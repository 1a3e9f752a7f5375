"""HEAD and OPTIONS on every route of the description, with an id that does not exist."""

import re
import time
from typing import Any

import httpx
import pytest

from tests.serving.live_server import Api

ENDLESS = "/v1/system-health/stream"


@pytest.fixture(scope="module")
def paths(running_api: Api) -> dict[str, dict[str, Any]]:
    """Return the operations of each path, with a value for every parameter."""
    described = running_api.client.get("/openapi.json", headers=running_api.headers("admin")).json()["paths"]
    return {re.sub(r"\{[a-z_]+\}", "0", path): operations for path, operations in described.items()}


def test_every_route_answers_options_with_its_methods(api: Api, paths: dict[str, dict[str, Any]]) -> None:
    assert len(paths) > 60
    wrong = {}
    for path, operations in paths.items():
        answer = api.client.options(path)
        expected = {"OPTIONS", *(method.upper() for method in operations)} | (
            {"HEAD"} if "get" in operations else set()
        )
        allowed = set(answer.headers.get("allow", "").split(", "))
        if (answer.status_code, answer.content) != (204, b"") or not expected <= allowed:
            wrong[path] = (answer.status_code, allowed)
    assert wrong == {}


def test_every_readable_route_answers_head_like_get_without_a_body(api: Api, paths: dict[str, dict[str, Any]]) -> None:
    headers = api.headers("admin")
    wrong = {}
    for path in (path for path, operations in paths.items() if "get" in operations and path != ENDLESS):
        got, head = (api.client.request(method, path, headers=headers) for method in ("GET", "HEAD"))
        if (head.status_code, head.content) != (got.status_code, b""):
            wrong[path] = (head.status_code, got.status_code, head.content[:80])
    assert wrong == {}


def test_head_of_an_endless_stream_ends_and_its_connection_can_be_used_again(api: Api) -> None:
    started = time.monotonic()
    with httpx.Client(base_url=api.client.base_url, timeout=10) as client:
        head = client.head(ENDLESS, headers=api.headers("app"))
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"].startswith("text/event-stream")
        assert client.get("/livez").status_code == 200
    assert time.monotonic() - started < 10
    assert api.services.live_stream.clients == 0
