"""A deprecated operation says so in every response and in the OpenAPI description; the changelog lists it."""

import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from serving.app import describe_api
from serving.errors import NotFound
from serving.http import error_responses
from serving.http.deprecation import deprecated, deprecation_of
from serving.http.strict_requests import StrictRoute
from serving.openapi import document as openapi

CHANGELOG = (Path(__file__).parents[2] / "docs" / "api-changelog.md").read_text(encoding="utf-8")
NOTICE = deprecated(since=date(2027, 1, 1), sunset=date(2027, 7, 1), instead="/v1/new")


@pytest.fixture(scope="module")
def app() -> FastAPI:
    router = APIRouter(prefix="/v1", tags=["data"], route_class=StrictRoute)

    @router.get("/old/{number}", **NOTICE)
    def old(number: int) -> dict[str, int]:
        """Return a number."""
        if number == 0:
            raise NotFound("There is no number 0.")
        return {"number": number}

    @router.get("/new")
    def new() -> dict[str, int]:
        """Return a number."""
        return {"number": 1}

    app = FastAPI(title="test", version="1", generate_unique_id_function=openapi.operation_id)
    app.include_router(router)
    error_responses.install(app, lambda request, problem: None)
    return app


@pytest.mark.parametrize(("path", "status"), [("/v1/old/1", 200), ("/v1/old/0", 404), ("/v1/old/x", 422)])
def test_every_response_of_a_deprecated_operation_says_so(app: FastAPI, path: str, status: int) -> None:
    answer = TestClient(app).get(path)
    assert answer.status_code == status
    assert headers_of(answer) == {
        "deprecation": f"@{datetime(2027, 1, 1, tzinfo=UTC).timestamp():.0f}",
        "sunset": "Thu, 01 Jul 2027 00:00:00 GMT",
        "link": '</v1/new>; rel="successor-version", </docs>; rel="deprecation"; type="text/html"',
    }
    assert headers_of(TestClient(app).get("/v1/new")) == {}


def headers_of(answer: httpx.Response) -> dict[str, str]:
    return {name: answer.headers[name] for name in ("deprecation", "sunset", "link") if name in answer.headers}


def test_the_description_marks_a_deprecated_operation(app: FastAPI) -> None:
    described = openapi.describe(app)["paths"]
    operation = described["/v1/old/{number}"]["get"]
    assert operation["deprecated"] is True
    assert "Deprecated since 2027-01-01, and removed on 2027-07-01. Use /v1/new" in operation["description"]
    assert all({"Deprecation", "Sunset", "Link"} <= set(each["headers"]) for each in operation["responses"].values())
    assert "deprecated" not in described["/v1/new"]["get"]


def test_a_notice_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 180 days"):
        deprecated(since=date(2027, 1, 1), sunset=date(2027, 5, 1), instead="/v1/new")


def problems(described: dict[str, Any], changelog: str, today: date) -> list[str]:
    """Return what the policy does not allow."""
    found = []
    for path, item in described["paths"].items():
        for method, operation in item.items():
            deprecation = deprecation_of(operation)
            if deprecation is None:
                continue
            if today >= deprecation.sunset:
                found.append(f"{method.upper()} {path} has passed its sunset: remove it")
            if f"`{method.upper()} {path}`" not in changelog:
                found.append(f"{method.upper()} {path} is not in docs/api-changelog.md")
            if deprecation.instead not in described["paths"]:
                found.append(f"{method.upper()} {path} names {deprecation.instead}, which does not exist")
    return found


def test_the_api_keeps_the_policy() -> None:
    assert problems(describe_api(), CHANGELOG, datetime.now(UTC).date()) == []
    assert re.search(r"^## \d{4}-\d{2}-\d{2}$", CHANGELOG, re.MULTILINE)


def test_what_breaks_the_policy_is_found(app: FastAPI) -> None:
    described = openapi.describe(app)
    assert problems(described, "`GET /v1/old/{number}`", date(2027, 6, 30)) == []
    assert len(problems(described, "", date(2027, 7, 1))) == 2
    assert (
        "does not exist"
        in problems({"paths": {"/v1/old/{number}": described["paths"]["/v1/old/{number}"]}}, "", date(2027, 1, 1))[1]
    )
