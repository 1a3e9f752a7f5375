"""Every error is a problem document that says what was expected."""

import re
from typing import Any

import pytest
from httpx import Response

from tests.background_logs import BackgroundLog
from tests.serving.live_server import Api


def problem(answer: Response, status: int) -> dict[str, Any]:
    """The problem document of an answer."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail"} <= document.keys()
    assert document["status"] == status
    return document


WRONG_BODIES: list[tuple[bytes, int, str]] = [
    (b"", 422, "required"),
    (b"{", 400, "JSON"),
    (b"\xff\xfe", 400, "JSON"),
    (b"[" * 100_000, 400, "JSON"),
    (b"[]", 422, "object"),
    (b"null", 422, "required"),
    (b"{}", 422, "key_result_ids"),
    (b'{"key_result_ids": "k1"}', 422, "list"),
    (b'{"key_result_ids": []}', 422, "at least 1"),
    (b'{"key_result_ids": [1]}', 422, "string"),
    (b'{"key_result_ids": [null]}', 422, "string"),
    (b'{"key_result_ids": [""]}', 422, "at least 1"),
    (b'{"key_result_ids": ["a\\u0000b"]}', 422, "NUL"),
    (b'{"key_result_ids": ["\\ud800"]}', 422, "key_result_ids"),
    (b'{"key_result_ids": ["k"], "modell": "x"}', 422, "modell"),
    (b'{"key_result_ids": ["' + b"k" * 129 + b'"]}', 422, "128"),
    (b'{"key_result_ids": [" k"]}', 422, "pattern"),
]


@pytest.mark.parametrize(("body", "status", "expected"), WRONG_BODIES)
def test_a_wrong_body_is_told_what_was_expected(
    api: Api, app_headers: dict[str, str], body: bytes, status: int, expected: str
) -> None:
    headers = {**app_headers, "Content-Type": "application/json"}
    assert expected in str(problem(api.client.post("/predict", content=body, headers=headers), status))


@pytest.mark.parametrize("body", [b"", b'{"key_result_ids": ["k1"]}'])
def test_a_body_without_its_content_type_is_told_the_header(api: Api, app_headers: dict[str, str], body: bytes) -> None:
    headers = {**app_headers, "Content-Type": "application/x-www-form-urlencoded"}  # curl's default
    document = problem(api.client.post("/predict", content=body, headers=headers), 422)
    assert document["errors"][0]["pointer"] == "#"
    assert "Content-Type: application/json" in document["detail"]


def test_ten_thousand_ids_at_once_are_told_the_limit(api: Api, app_headers: dict[str, str]) -> None:
    body = {"key_result_ids": [f"k{number}" for number in range(10_000)]}
    document = problem(api.client.post("/predict", json=body, headers=app_headers), 422)
    assert "at most 1000" in document["detail"]
    assert document["errors"][0]["pointer"] == "#/key_result_ids"
    assert document["errors"][0]["got"] == "an array of 10000"


def test_a_field_with_a_slash_in_its_name_has_a_pointer_that_leads_to_it(api: Api, app_headers: dict[str, str]) -> None:
    """As in https://github.com/xavierjohn/Trellis/pull/717: a name's own slash is no step of the path."""
    body = {"key_result_ids": ["k"], "a/b~c": 1}
    document = problem(api.client.post("/predict", json=body, headers=app_headers), 422)
    assert [each["pointer"] for each in document["errors"]] == ["#/a~1b~0c"]


def test_a_body_beyond_the_limit_is_refused_whether_it_announces_its_length_or_not(
    api: Api, app_headers: dict[str, str]
) -> None:
    body = b"x" * 1_100_000
    assert "1048576" in problem(api.client.post("/predict", content=body, headers=app_headers), 413)["detail"]
    pieces = (body[start : start + 100_000] for start in range(0, len(body), 100_000))
    headers = {**app_headers, "Content-Type": "application/json"}
    assert "1048576" in problem(api.client.post("/predict", content=pieces, headers=headers), 413)["detail"]


def test_an_unknown_address_and_a_wrong_method_are_problems(api: Api) -> None:
    assert "/docs" in problem(api.client.get("/v2/key-results"), 404)["detail"]
    answer = api.client.delete("/predict")
    problem(answer, 405)
    assert answer.headers["allow"] == "OPTIONS, POST"


def test_a_body_of_another_media_type_is_told_which_are_read(api: Api) -> None:
    answer = api.client.post("/auth/token", content=b"<x/>", headers={"Content-Type": "text/xml"})
    assert "application/json" in problem(answer, 415)["detail"]


SECRET = "correct-horse"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"password": SECRET}, "username"),
        ({"username": 1, "password": SECRET}, "username"),
        ({"username": "", "password": SECRET}, "username"),
        ({"username": "app", "passwort": SECRET}, "passwort"),
        ({"username": "app", "password": SECRET * 200}, "password"),
        ({"username": "app", "password": [SECRET]}, "password"),
        ({"username": "app", "password": {"value": SECRET}}, "password"),
        ({"username": "app", "password": SECRET + "\0"}, "password"),
        ([{"username": "app", "password": SECRET}], "an object"),
        (SECRET, "an object"),
    ],
)
def test_wrong_credentials_bodies_never_show_the_password(api: Api, body: object, expected: str) -> None:
    document = problem(api.client.post("/auth/token", json=body), 422)
    assert expected in str(document)
    assert SECRET not in str(document)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "status=lost", "teams=x", "cursor=%ff", "cursor=!!"]
)
def test_a_wrong_filter_is_told_what_was_expected(api: Api, app_headers: dict[str, str], query: str) -> None:
    document = problem(api.client.get(f"/v1/key-results?{query}", headers=app_headers), 422)
    assert query.partition("=")[0].rstrip("s") in str(document)


def test_a_host_of_another_name_reads_nothing(api: Api) -> None:
    document = problem(api.client.get("/health", headers={"Host": "evil.example"}), 400)
    assert "checks" not in document


def test_an_internal_error_returns_an_id_and_no_internal_detail(
    api: Api, monkeypatch: pytest.MonkeyPatch, background_log: BackgroundLog
) -> None:
    headers = api.headers("app")
    monkeypatch.setattr(type(api.services.data), "publication", lambda _self: 1 / 0)
    document = problem(api.client.get("/v1/publication", headers=headers), 500)
    assert "ZeroDivision" not in str(document)
    assert document["error_id"] in background_log.text


@pytest.mark.parametrize("path", ["/health", "/login", "/v1/publication", "/docs", "/nowhere"])
def test_the_headers_of_an_address_may_be_asked_for_alone(api: Api, path: str) -> None:
    """Monitors do, and took a 405 for an outage: https://github.com/Kludex/fastapi-health/issues/18,
    https://github.com/mozilla-it/ctms-api/issues/165, https://github.com/passbolt/passbolt_api/issues/507."""
    api.log_in()
    whole, head = api.client.get(path), api.client.head(path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]


def test_every_answer_has_the_strict_headers(api: Api) -> None:
    for path in ("/health", "/login", "/v1/publication", "/static/okr.css", "/nowhere"):
        headers = api.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert "server" not in headers
    assert api.client.get("/health").headers["cache-control"] == "no-store"


def test_no_page_of_ours_needs_what_its_policy_forbids(api: Api) -> None:
    pages = {"/login": api.client.get("/login").text}
    api.log_in()
    for path in ("/", "/?show=500", "/key-results/rtl", "/key-results/none"):
        pages[path] = api.client.get(path, headers={"Accept": "text/html"}).text
    for path, page in pages.items():
        assert "<main" in page, path
        own = page.replace("http://www.w3.org", "")
        assert not re.search(r"<script|\sstyle=|\son[a-z]+=|javascript:|https?://", own), path
