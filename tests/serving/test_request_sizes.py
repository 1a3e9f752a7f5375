"""Requests that are too large in any way are refused before they are parsed."""

import httpx
import pytest
from starlette.requests import Request

from serving.http import strict_requests
from tests.serving.live_server import Api
from tests.serving.test_error_responses import problem


@pytest.mark.parametrize("name", ["Authorization", "Cookie"])
def test_a_credential_that_is_too_large_is_refused_before_it_is_parsed(api: Api, name: str) -> None:
    answer = api.client.get("/v1/publication", headers={name: "Bearer" + " " * 20_000 + "x"})
    assert (answer.status_code, answer.json()["type"]) == (431, "urn:okr:problem:credential-too-large")


def test_a_long_query_is_answered_with_the_first_unknown_names(api: Api) -> None:
    query = "&".join(f"n{number}" for number in range(900))
    errors = api.client.get(f"/livez?{query}").json()["errors"]
    assert len(errors) <= 100
    assert "n19" in str(errors)
    assert "n20" not in str(errors)


@pytest.mark.parametrize("query", ["&" * 1_000, "x" * 33_000])
def test_a_query_that_is_too_large_is_refused_before_it_is_parsed(api: Api, query: str) -> None:
    assert problem(api.client.get(f"/livez?{query}"), 414)["type"] == "urn:okr:problem:query-too-large"


@pytest.mark.parametrize("path", ["/predict", "/auth/token", "/v1/events", "/login"])
def test_a_large_body_is_parsed_only_after_a_login(api: Api, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A megabyte of small objects takes 0.1 s, which nobody without a login may cost."""
    monkeypatch.setattr(strict_requests, "_parsed", lambda _body: pytest.fail("it was parsed"))
    body = b"[" + b'{"":0},' * 10_000
    for headers in ({}, {"Authorization": "Bearer of nobody"}):
        answer = api.client.post(path, content=body, headers={"Content-Type": "application/json", **headers})
        assert answer.status_code == 401, answer.text


def test_an_object_with_very_many_names_is_refused_before_each_becomes_an_error(
    api: Api, app_headers: dict[str, str]
) -> None:
    body = {f"name-{number}": 0 for number in range(1_001)}
    answer = api.client.post("/v1/check-ins", json=body, headers=app_headers)
    assert problem(answer, 400)["type"] == "urn:okr:problem:invalid-json"
    assert "at most 1000" in answer.json()["detail"]


@pytest.mark.parametrize("unit", [b"[],", b"{},", b"[[]],", b'{"a":[]},'])
def test_a_body_of_very_many_arrays_or_objects_is_refused_before_it_is_parsed(
    api: Api, app_headers: dict[str, str], unit: bytes
) -> None:
    for size in (50_000, 1_000_000):
        body = b'{"features": [' + unit * (size // len(unit)) + b"0]}"
        headers = {"Content-Type": "application/json", **app_headers}
        answer = httpx.post(f"{api.client.base_url}/predict", content=body, headers=headers, timeout=60)
        assert (answer.status_code, b"at most 10000" in answer.content) == (400, True), answer.text


@pytest.mark.parametrize("path", ["/login", "/password", "/auth/token", "/auth/refresh"])
@pytest.mark.parametrize("form", ["application/x-www-form-urlencoded", "Multipart/Form-Data; boundary=x"])
def test_a_large_form_is_refused_before_it_is_parsed_on_the_event_loop(
    api: Api, app_headers: dict[str, str], path: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Request, "form", lambda *_, **__: pytest.fail("it was parsed"))
    headers = {"Content-Type": form, **app_headers}
    assert problem(api.client.post(path, content=b"&" * 16_385, headers=headers), 413)["title"]
