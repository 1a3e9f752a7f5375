"""What the guard does to every request: ids, rate limits, methods, probes and metrics."""

import re
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import msgspec
import pytest
from pydantic import SecretStr

from lakehouse.errors import RetryableError
from ml.golden_rows import ROWS
from serving.limits.load_shedding import SLOTS
from serving.limits.rate_plan import RatePlan, RatePlans
from tests.background_logs import BackgroundLog
from tests.polling import until
from tests.serving.live_server import Api, serving
from tests.serving.test_error_responses import problem
from tests.serving.topic_reader import read_until


def prometheus(api: Api) -> dict[str, str]:
    """Return the header of the reader of /metrics."""
    return {"Authorization": f"Bearer {api.settings.require('metrics_token')}"}


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_safe_request_id_is_returned_and_is_in_problems_and_log_lines(
    api: Api, background_log: BackgroundLog
) -> None:
    sent = f"trace_{uuid.uuid4().hex}"
    answer = api.client.get("/v1/publication", headers={"X-Request-ID": sent})
    assert answer.headers["x-request-id"] == sent
    assert problem(answer, 401)["request_id"] == sent
    until(lambda: f"request_id={sent}" in background_log.text, "the access log names the request")


@pytest.mark.parametrize(
    "unsafe",
    [
        "short-1",
        "jane.doe@example.com",
        "a b" * 6,
        "x" * 20,
        "1" * 65,
        "0123456789abcdef\u00e9",
        "../../../etc/passwd0",
    ],
)
def test_an_unsafe_request_id_is_replaced(api: Api, background_log: BackgroundLog, unsafe: str) -> None:
    answers = [api.client.get("/livez", headers={"X-Request-ID": unsafe.encode("latin-1")}) for _ in range(2)]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)
    assert ids[0] != ids[1]
    assert unsafe not in background_log.text


def test_events_name_the_request_that_caused_them(api: Api, app_headers: dict[str, str]) -> None:
    listed = api.client.get("/v1/key-results?status=on_track", headers=app_headers).json()
    body = {"key_result_ids": [listed["key_results"][0]["key_result_id"]]}
    request_id = f"caused_{uuid.uuid4().hex}"
    headers = app_headers | {"X-Request-ID": request_id, "traceparent": TRACE}
    assert api.client.post("/predict", json=body, headers=headers).status_code == 200
    message = read_until(api.settings, "okr_ai_predictions", lambda value: request_id.encode() in value)
    envelope: dict[str, Any] = msgspec.json.decode(message.value)
    assert (envelope["requestid"], envelope["traceparent"]) == (request_id, TRACE)


@pytest.mark.parametrize(
    "wrong", ["", "00-0-0-0", TRACE.upper(), TRACE.replace("4bf9", "zzzz"), "ff" + TRACE[2:], TRACE + "-x"]
)
def test_a_malformed_traceparent_is_dropped(api: Api, background_log: BackgroundLog, wrong: str) -> None:
    request_id = uuid.uuid4().hex
    api.client.get("/v1/publication", headers={"traceparent": wrong, "X-Request-ID": request_id})
    until(lambda: request_id in background_log.text, "the access log names the request")
    assert "traceparent" not in background_log.text


def test_every_answer_says_what_is_left_of_the_plan(api: Api, app_headers: dict[str, str]) -> None:
    api.client.get("/v1/publication", headers=app_headers)  # a credential counts for its account once it is verified
    known = api.client.get("/v1/publication", headers=app_headers).headers
    assert known["ratelimit-policy"] == '"service";q=4000;w=2'
    assert re.fullmatch(r'"service";r=\d+;t=\d', known["ratelimit"])
    assert api.client.get("/login").headers["ratelimit-policy"] == '"anonymous";q=400;w=4'


def test_a_caller_beyond_its_plan_is_told_when_to_try_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RatePlans, "refresh", lambda _self: None)
    buckets_of_its_own = SecretStr(api.settings.require("redis_url").removesuffix("/0") + "/1")
    with serving(api.settings.model_copy(update={"redis_url": buckets_of_its_own})) as limited:
        limited.services.rate_limits.plans._by_name["anonymous"] = RatePlan("anonymous", 0.1, 3)
        headers = limited.headers("app")
        answers = [limited.client.get("/login") for _ in range(3)]
        document = problem(answers[-1], 429)
        assert document["type"] == "urn:okr:problem:rate-limit"
        assert document["violated-policies"] == ["anonymous"]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 10
        assert answers[-1].headers["ratelimit"].startswith('"anonymous";r=0;t=')
        problem(limited.client.get("/v1/publication", headers=headers), 429)
        assert limited.client.get("/livez").status_code == 200
        metrics = limited.client.get("/metrics", headers=prometheus(limited)).text
        assert re.search(r'^okr_http_refusals_total{reason="rate-limit"} [1-9]', metrics, re.MULTILINE)


PATHS = [
    "/livez",
    "/readyz",
    "/health",
    "/login",
    "/v1/publication",
    "/docs",
    "/static/okr.css",
    "/metrics",
    "/v1/key-results/k",
]


@pytest.mark.parametrize("path", PATHS)
def test_every_path_answers_head_and_options(api: Api, path: str) -> None:
    api.log_in()
    got, head, options = api.client.get(path), api.client.head(path), api.client.options(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    assert (options.status_code, options.content) == (204, b"")
    assert {"GET", "HEAD", "OPTIONS"} <= set(options.headers["allow"].split(", "))


def test_options_of_an_unknown_path_is_a_problem(api: Api) -> None:
    problem(api.client.options("/nowhere"), 404)
    assert api.client.options("/predict").headers["allow"] == "OPTIONS, POST"


def test_probes_tell_liveness_and_readiness(api: Api) -> None:
    pod = {"Host": "10.0.0.7:8000"}
    assert api.client.get("/livez", headers=pod).json() == {"status": "alive"}
    until(lambda: api.client.get("/readyz", headers=pod).status_code == 200, "the model has been looked up")
    assert api.client.get("/readyz").json() == {"status": "ready"}


def test_a_worker_starts_and_lives_without_a_warehouse(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.publication_reader.WAIT_S", 0.2)
    dsn = type(api.settings.dsn_serving)("postgresql://okr_serving:x@127.0.0.1:9/okr?connect_timeout=1")
    with serving(api.settings.model_copy(update={"dsn_serving": dsn})) as waiting:
        assert waiting.client.get("/livez").status_code == 200
        answer = waiting.client.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (503, "not_ready")
        assert "warehouse" in answer.json()["missing"]


def test_health_shows_details_only_to_those_who_may_read_the_system(api: Api, app_headers: dict[str, str]) -> None:
    anonymous = api.client.get("/health").json()
    assert anonymous.keys() == {"status"}
    assert "warehouse" in api.client.get("/health", headers=app_headers).json()["checks"]
    assert api.client.get("/health", headers={"Authorization": "Bearer nonsense"}).json() == anonymous
    for headers in (api.headers("lead"), api.headers("lead")):  # the second time, the token is recognised
        assert api.client.get("/health", headers=headers).json().keys() == {"status"}
    api.log_in("lead")
    assert api.client.get("/health").json().keys() == {"status"}
    api.log_in("admin")
    assert "warehouse" in api.client.get("/health").json()["checks"]


def test_probes_health_and_metrics_answer_while_every_thread_is_busy(
    api: Api, app_headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(api.settings) as busy, ThreadPoolExecutor(SLOTS) as callers:
        release, started = threading.Event(), threading.Semaphore(0)

        def blocked(_self: object) -> None:
            started.release()
            release.wait(60)
            raise RetryableError("released")

        assert busy.client.get("/v1/publication", headers=app_headers).status_code == 200
        monkeypatch.setattr(type(busy.services.data), "publication", blocked)
        address = f"{busy.client.base_url}/v1/publication"
        waiting = [callers.submit(httpx.get, address, headers=app_headers, timeout=60) for _ in range(SLOTS)]
        try:
            assert all(started.acquire(timeout=30) for _ in waiting)
            for path in ("/livez", "/readyz", "/metrics", "/health"):
                assert busy.client.get(path, headers=prometheus(api), timeout=10).status_code == 200, path
            assert "checks" in busy.client.get("/health", headers=app_headers, timeout=10).json()
        finally:
            release.set()
        assert {each.result().status_code for each in waiting} == {503}


def test_the_metrics_are_for_the_token_alone_also_on_this_host(api: Api) -> None:
    """What a proxy on this host forwards comes from this host as well."""
    assert api.client.get("/metrics", headers=prometheus(api)).status_code == 200
    for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Bearer of-prometheus"}, api.headers("admin")):
        problem(api.client.get("/metrics", headers=headers), 401)
    with serving(api.settings.model_copy(update={"metrics_token": SecretStr("")})) as without:
        for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Bearer x"}):
            problem(without.client.get("/metrics", headers=headers), 401)


def test_the_metrics_cover_requests_models_cache_and_spools(api: Api, app_headers: dict[str, str]) -> None:
    listed = api.client.get("/v1/key-results?status=on_track", headers=app_headers).json()
    body = {"key_result_ids": [each["key_result_id"] for each in listed["key_results"][:5]]}
    for each in (body, {"features": dict(ROWS[0])}):
        assert api.client.post("/predict", json=each, headers=app_headers).status_code == 200
    text = api.client.get("/metrics", headers=prometheus(api)).text
    for expected in (
        r'okr_http_request_duration_seconds_count{method="POST",route="/predict",status="200"} [1-9]',
        r'okr_served_probability_count{model="okr_key_result_forecast",role="champion"} [1-9]',
        r'okr_model_rows_total{model="okr_key_result_forecast"} [1-9]',
        r'okr_model_duration_seconds_count{model="okr_key_result_forecast"} [1-9]',
        r'okr_forecast_cache_lookups_total{result="(hit|miss)"} [1-9]',
        r'okr_events_posted_total{spool="[a-z-]+"} [1-9]',
        r'okr_spool_events{spool="okr-api",state="waiting"} \d',
    ):
        assert re.search(f"^{expected}", text, re.MULTILINE), expected


def test_labels_do_not_grow_with_what_callers_send(api: Api) -> None:
    def series() -> int:
        return api.client.get("/metrics", headers=prometheus(api)).text.count("\n")

    api.client.request("BREW", "/v1/publication")
    api.client.get(f"/v1/users/{uuid.uuid4()}/activity")
    api.client.get("/nowhere/at/all")
    series()
    before = series()
    for number in range(20):
        api.client.request(f"BREW{number}", "/v1/publication")
        api.client.get(f"/v1/users/{uuid.uuid4()}/activity")
        api.client.get(f"/nowhere/{number}")
    assert series() == before


def test_a_response_that_the_client_does_not_wait_for_is_no_error(api: Api, background_log: BackgroundLog) -> None:
    with httpx.Client(base_url=api.client.base_url, timeout=0.001) as hasty, pytest.raises(httpx.TimeoutException):
        hasty.get("/v1/key-results", headers=api.headers("app"))
    assert api.client.get("/livez").status_code == 200
    assert "Traceback" not in background_log.text
