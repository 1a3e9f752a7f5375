"""Security headers: each exactly once, whoever answers, and the same from nginx as from the API."""

import json
from collections import Counter
from pathlib import Path

import httpx
import pytest

from serving.http.security_headers import DEFAULTS, DOCUMENTS, EVERY_RESPONSE
from tests.ops.nginx.conftest import Api
from tests.polling import until

ONCE = {
    "strict-transport-security", "x-request-id", "x-content-type-options", "x-frame-options", "referrer-policy",
    "content-security-policy", "cross-origin-opener-policy", "cache-control", "cross-origin-resource-policy",
    "permissions-policy", "content-type", "date", "server",
}  # fmt: skip
OF_JSON = {name.decode() for name, _ in EVERY_RESPONSE} | {name.decode() for name in DEFAULTS}
OF_DOCUMENTS = OF_JSON | {name.decode() for name, _ in DOCUMENTS}
OF_TOOLS = OF_DOCUMENTS - {"cache-control", "cross-origin-resource-policy", "permissions-policy"}
# Headers in which a response of nginx may differ from the API's.
OWN = {
    "date", "server", "connection", "strict-transport-security", "x-request-id", "vary", "content-encoding",
    "transfer-encoding", "content-length", "etag", "last-modified", "accept-ranges", "ratelimit", "ratelimit-policy",
}  # fmt: skip


CASES: list[tuple[str, str | None, int, set[str]]] = [
    ("/", "lead", 200, OF_DOCUMENTS),
    ("/login", None, 200, OF_DOCUMENTS),
    ("/livez", None, 200, OF_JSON),
    ("/v1/teams", None, 401, OF_JSON),
    ("/nothing", None, 404, OF_DOCUMENTS),
    ("/static/okr.css", None, 200, OF_DOCUMENTS),
    ("/static/nothing.css", None, 404, OF_JSON),
    ("/docs/assets/swagger-ui.css", None, 200, OF_DOCUMENTS),
    ("/catalog/", "lead", 200, OF_DOCUMENTS),
    ("/catalog/", None, 303, OF_DOCUMENTS),
    ("/catalog/nothing", "lead", 404, OF_DOCUMENTS),
    ("/quality/", "lead", 200, OF_DOCUMENTS),
    ("/airflow/", "lead", 403, OF_DOCUMENTS),
    ("/airflow/execution/health", "admin", 404, OF_JSON),
    ("/livez?" + "x" * 60_000, None, 414, OF_JSON),
    ("/airflow/", "admin", 200, OF_TOOLS),
    ("/mlflow/", "admin", 200, OF_TOOLS),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0][:30]} {case[1]}")
def test_each_header_is_there_exactly_once(api: Api, sites: Path, case: tuple[str, str | None, int, set[str]]) -> None:
    path, username, status, expected = case
    # A tool that sets headers of its own.
    own = (
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\nX-Frame-Options: ALLOWALL\r\n"
        "X-Content-Type-Options: nosniff\r\nX-Request-ID: own\r\nStrict-Transport-Security: max-age=1\r\n"
        "X-Accel-Redirect: /_problem\r\n\r\nok"
    )
    plain, api.airflow.answer, api.mlflow.answer = api.airflow.answer, own.encode(), own.encode()
    try:
        with api.client(username) as client:
            answer = client.get(path)
    finally:
        api.airflow.answer = api.mlflow.answer = plain
    assert answer.status_code == status, answer.text
    counts = Counter(name.decode().lower() for name, _ in answer.headers.raw)
    assert {name: count for name, count in counts.items() if count > 1 and name in ONCE} == {}
    assert expected | {"strict-transport-security", "x-request-id"} <= counts.keys()
    assert answer.headers["strict-transport-security"] == "max-age=63072000"
    assert answer.headers["server"] == "nginx", "without its version"
    assert answer.headers["x-frame-options"] in {"DENY", "SAMEORIGIN"}


@pytest.mark.parametrize("path", ["/static/okr.css", "/static/okr.svg", "/catalog/", "/quality/", "/catalog/data.json"])
def test_a_file_from_nginx_has_the_headers_and_the_content_of_the_api_s_answer(
    api: Api, sites: Path, path: str
) -> None:
    with api.client("lead") as client, api.direct() as direct:
        through = client.get(path)
        cookie = "; ".join(f"{each.name}={each.value}" for each in client.cookies.jar)
        answer = direct.get(path, headers={"Cookie": cookie})
    assert (through.status_code, through.content) == (answer.status_code, answer.content) == (200, through.content)
    assert _comparable(through) == _comparable(answer)


def _comparable(answer: httpx.Response) -> dict[str, str]:
    kind = answer.headers["content-type"].partition(";")[0]
    # The API leaves the headers of documents out of JSON.
    left_out = OWN | (OF_DOCUMENTS - OF_JSON if kind == "application/json" else set())
    found = {name: value for name, value in answer.headers.items() if name not in left_out}
    return found | {"content-type": kind.replace("text/javascript", "application/javascript")}


def requests_in(api: Api, request_id: str) -> list[dict[str, str]]:
    """Return the lines of the API's log about a request. It writes them after it has answered."""
    own = [json.loads(line) for line in api.log.read_text(encoding="utf-8").splitlines() if request_id in line]
    return [line for line in own if line["event"] == "request"]


def test_the_request_id_is_the_same_in_the_answer_and_in_both_logs(api: Api) -> None:
    request_id = "both-logs-01234567"
    with api.proxy.client(headers={"X-Request-ID": request_id}) as client:
        answer = client.get("/v1/teams")
    assert answer.headers.get_list("x-request-id") == [request_id]
    assert answer.json()["request_id"] == request_id
    assert api.proxy.line_of(request_id)["status"] == 401
    assert [line["route"] for line in until(lambda: requests_in(api, request_id), "the API logs it")] == ["/v1/teams"]
    with api.proxy.client() as client:
        made = client.get("/livez").headers["x-request-id"]
    assert api.proxy.line_of(made)["area"] == "livez"
    assert [line["route"] for line in until(lambda: requests_in(api, made), "the API logs it")] == ["/livez"]


def test_a_stream_is_not_buffered(api: Api) -> None:
    login = {"username": "app", "password": api.settings.require("app_password")}
    with api.proxy.client() as client:
        token = client.post("/auth/token", data=login).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        with client.stream("GET", "/v1/system-health/stream", headers=headers) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            assert next(stream.iter_lines()).startswith("retry:")
