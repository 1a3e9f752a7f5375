"""The fast path of POST /predict and the regular route: the same answers, and who answers what."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.contract_validation import decode
from ml.golden_rows import ROWS
from serving.auth.actor import Actor
from serving.fast_path import fast_protocol
from serving.limits.rate_plan import RatePlan
from serving.prediction_log.segment_file import SUFFIX
from serving.prediction_log.segment_reader import SegmentReader
from tests.polling import until
from tests.serving.live_server import Api, serving

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def fast(running_api: Api) -> Api:
    """The application with prepared answers."""
    until(running_api.services.prediction.current_answers.newest, "the answers are prepared")
    return running_api


@pytest.fixture(scope="module")
def headers(fast: Api) -> dict[str, str]:
    """An app's token, which is verified once."""
    headers = fast.headers("app") | JSON
    assert fast.client.get("/v1/key-results", headers=headers).status_code == 200
    return headers


@pytest.fixture(scope="module")
def ids(fast: Api, headers: dict[str, str]) -> list[str]:
    """The ids of all key results, some of them closed."""
    listed = fast.client.get("/v1/key-results", params={"limit": 1000}, headers=headers).json()["key_results"]
    return [each["key_result_id"] for each in listed]


class Routes:
    """Counts which requests reach the regular route."""

    def __init__(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        self.documented = 0
        predictor = api.services.prediction.predictor
        for name in ("predict", "predict_features"):
            monkeypatch.setattr(predictor, name, self._counted(getattr(predictor, name)))

    def _counted(self, predict: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.documented += 1
            return predict(*arguments, **options)

        return counted


@pytest.fixture
def routes(fast: Api, monkeypatch: pytest.MonkeyPatch) -> Routes:
    """The counter. On a busy machine, the headers and the body of a request may arrive long after each other."""
    monkeypatch.setattr(fast_protocol, "HOLD_S", 10.0)
    return Routes(fast, monkeypatch)


def forecastable(fast: Api, ids: list[str]) -> list[str]:
    answers = fast.services.prediction.current_answers.newest()
    return [each for each in ids if answers.of([each])]


def post(api: Api, body: bytes, headers: dict[str, str], *, is_fast: bool) -> httpx.Response:
    """Send a body, to the fast path or only to the regular route: a repeated header makes a request unusual."""
    sent = list(headers.items()) if is_fast else [*headers.items(), ("Content-Type", headers["Content-Type"])]
    return api.client.post("/predict", content=body, headers=sent)


def comparable(answer: httpx.Response) -> Any:
    """Return the status and the body without ids and times that differ between any two requests."""
    body = answer.json()
    body.pop("request_id", None)
    for one in body.get("predictions", ()):
        if one["prediction_id"] is not None:
            assert len(one["prediction_id"]) == 36
            one["prediction_id"] = "..."
    return answer.status_code, body, answer.headers["content-type"]


def test_usual_requests_are_answered_from_memory(
    fast: Api, headers: dict[str, str], ids: list[str], routes: Routes
) -> None:
    wanted = forecastable(fast, ids)
    assert len(wanted) > 20
    quick, documented = (
        post(fast, json.dumps({"key_result_ids": wanted}).encode(), headers, is_fast=is_fast)
        for is_fast in (True, False)
    )
    assert routes.documented == 1
    assert comparable(quick) == comparable(documented)
    assert set(quick.headers) == set(documented.headers)


@pytest.mark.parametrize("reasons", [None, True, False])
def test_one_row_of_features_gets_the_same_answer_from_both(
    fast: Api, headers: dict[str, str], routes: Routes, reasons: bool | None
) -> None:
    for row in ROWS:
        body = json.dumps({"features": dict(row), **({} if reasons is None else {"reasons": reasons})}).encode()
        quick, documented = (post(fast, body, headers, is_fast=is_fast) for is_fast in (True, False))
        assert comparable(quick) == comparable(documented)
        assert set(quick.headers) == set(documented.headers)
        (one,) = quick.json()["predictions"]
        assert bool(one["reasons"]) is (reasons is not False)
    assert routes.documented == len(ROWS)


@pytest.mark.parametrize(
    "unusual",
    [
        b'{"features": [%row]}',
        b'{"features": %row, "reasons": null}',
        b'{"features": %row, "reasons": 0}',
        b'{"features": %row, "reasons": true, "reasons": true}',
        b'{"features": %row, "features": %row}',
        b'{"features": %row, "model": "okr_key_result_forecast"}',
        b'{"features": %row, "model": "other"}',
        b'{"features": %row, "key_result_ids": ["a"]}',
        b'{"key_result_ids": ["a"], "reasons": false}',
        b'{"features": {}}',
        b'{"features": null}',
        b'{"features": %row',
        b'{"features": %row}\xff',
    ],
)
def test_unusual_bodies_with_features_get_the_answer_of_the_documented_route(
    fast: Api, headers: dict[str, str], unusual: bytes
) -> None:
    body = unusual.replace(b"%row", json.dumps(dict(ROWS[0])).encode())
    assert comparable(post(fast, body, headers, is_fast=True)) == comparable(post(fast, body, headers, is_fast=False))


def test_generated_features_get_the_same_answer_from_both(fast: Api, headers: dict[str, str]) -> None:
    names = sorted(ROWS[0])
    number = st.one_of(
        st.floats(-2e6, 2e6), st.floats(0, 1), st.integers(-5, 10), st.sampled_from([1e400, -0.0, 10**400, 1e-320])
    )
    value = st.one_of(number, number, number, st.none(), st.booleans(), st.just("1"), st.just([]))
    changes = st.dictionaries(st.sampled_from([*names, "other"]), value, max_size=3)
    dropped = st.lists(st.sampled_from(names), max_size=1)

    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.sampled_from(ROWS), changes, dropped, st.sampled_from(["", *names]), st.booleans())
    def check(row: Any, changes: Any, dropped: list[str], twice: str, has_reasons: bool) -> None:
        changed = {name: each for name, each in {**row, **changes}.items() if name not in dropped}
        text = json.dumps({"features": changed, "reasons": has_reasons}).replace("Infinity", "1e999")
        if twice:
            text = text.replace("{", f'{{"{twice}": 1, ', 2).replace(f'{{"{twice}": 1, ', "{", 1)
        answers = [post(fast, text.encode(), headers, is_fast=is_fast) for is_fast in (True, False)]
        assert comparable(answers[0]) == comparable(answers[1])

    check()


@pytest.mark.parametrize(
    "unusual",
    [
        b"",
        b"{}",
        b"[]",
        b'{"key_result_ids": []}',
        b'{"key_result_ids": ["unknown"]}',
        b'{"key_result_ids": [1]}',
        b'{"key_result_ids": null}',
        b'{"key_result_ids": ["%b"], "key_result_ids": ["%b"]}',
        b'{"key_result_ids": ["%b"], "extra": 1}',
        b'{"key_result\\u005fids": ["%b"]}',
        b'{"key_result_ids": ["%b"], "key_result_\\u0069ds": ["%b"]}',
        b'{"key_result_\\u0069ds": ["%b"], "key_result_ids": ["%b"]}',
        b'{"key_result_ids": ["%b", "%b"]}',
        b'{"key_result_ids": ["%b"]} ',
        b'{"key_result_ids": ["%b"]}}',
        b'\xef\xbb\xbf{"key_result_ids": ["%b"]}',
        b'{"key_result_ids": ["%b", "\xff"]}',
        b'{"key_result_ids": ["\\ud800"]}',
        b'{"key_result_ids": ["%b ", "%b\\u0000"]}',
        b'{"key_result_ids": [' + b",".join([b'"%b"'] * 1_001) + b"]}",
        b'{"key_result_ids": ["%b"], "x": NaN}',
    ],
)
def test_unusual_bodies_get_the_answer_of_the_documented_route(
    fast: Api, headers: dict[str, str], ids: list[str], unusual: bytes
) -> None:
    body = unusual.replace(b"%b", forecastable(fast, ids)[0].encode())
    assert comparable(post(fast, body, headers, is_fast=True)) == comparable(post(fast, body, headers, is_fast=False))


@pytest.mark.parametrize(
    "changed", [{"Authorization": ""}, {"Authorization": "Bearer x"}, {"Content-Type": "text/plain"}]
)
def test_unusual_headers_get_the_answer_of_the_documented_route(
    fast: Api, headers: dict[str, str], ids: list[str], changed: dict[str, str]
) -> None:
    body = json.dumps({"key_result_ids": forecastable(fast, ids)[:1]}).encode()
    answers = [post(fast, body, headers | changed, is_fast=is_fast) for is_fast in (True, False)]
    assert comparable(answers[0]) == comparable(answers[1])


def left_of(answer: httpx.Response) -> int:
    return int(answer.headers["ratelimit"].partition("r=")[2].partition(";")[0])


@pytest.mark.parametrize("is_fast", [True, False])
def test_every_ten_key_results_cost_a_request(
    fast: Api, ids: list[str], routes: Routes, is_fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = fast.services.rate_limits.plans
    monkeypatch.setattr(plans, "refresh", lambda: None)
    monkeypatch.setattr(plans, "_by_name", {**plans._by_name, "service": RatePlan("service", 0.01, 50)})
    key = fast.services.auth.api_keys.add("app", "costs", ["predict", "record", "define"], Actor("os:test")).text
    own, wanted = {"Authorization": f"Bearer {key}"} | JSON, forecastable(fast, ids)
    sent = [json.dumps({"key_result_ids": wanted[:number]}).encode() for number in (1, 10, 11, 20)]
    answers = [post(fast, sent[0], own, is_fast=False), *(post(fast, body, own, is_fast=is_fast) for body in sent)]
    assert [left_of(each) for each in answers] == [49, 48, 47, 45, 43]
    assert routes.documented == (1 if is_fast else 5)
    rows = json.dumps({"features": [dict(ROWS[0])] * 31}).encode()
    assert left_of(fast.client.post("/predict", content=rows, headers=own)) == 39
    events = [{"type": "okr.team.defined.v1", "data": {"organisation_id": "costs", "name": "n"}}] * 21
    assert left_of(fast.client.post("/v1/events", json={"events": events}, headers=own)) == 36
    assert left_of(fast.client.post("/v1/events", json={"events": events * 15}, headers=own)) == 4
    refused = post(fast, json.dumps({"key_result_ids": [f"x{number}" for number in range(60)]}).encode(), own,
                   is_fast=is_fast)  # fmt: skip
    assert (refused.status_code, refused.json()["violated-policies"]) == (429, ["service"])


def test_generated_requests_get_the_same_answer_from_both(fast: Api, headers: dict[str, str], ids: list[str]) -> None:
    known = st.sampled_from(ids)
    wanted = st.lists(st.one_of(known, known, known, st.text(max_size=5)), max_size=5)
    value = st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=4), st.lists, max_leaves=3)
    bodies = st.one_of(
        wanted.map(lambda each: {"key_result_ids": each}),
        st.fixed_dictionaries({"key_result_ids": wanted}, optional={"model": value, "features": value}),
        st.fixed_dictionaries({"key_result_ids": value}),
    )

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(bodies, st.booleans(), st.sampled_from([None, 1]))
    def check(body: Any, is_ascii: bool, indent: int | None) -> None:
        text = json.dumps(body, ensure_ascii=is_ascii, indent=indent).encode("utf-8", "surrogatepass")
        answers = [post(fast, text, headers, is_fast=is_fast) for is_fast in (True, False)]
        assert comparable(answers[0]) == comparable(answers[1])

    check()


def test_the_events_of_both_are_equal(fast: Api, headers: dict[str, str], ids: list[str], tmp_path: Any) -> None:
    """They are read from the log of an application that has no shipper yet."""
    away = fast.settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:9", "state": tmp_path})
    with serving(away) as api:
        until(api.services.prediction.current_answers.newest, "the answers are prepared")
        own = api.headers("app") | JSON
        assert api.client.get("/v1/key-results", headers=own).status_code == 200
        body = json.dumps({"key_result_ids": forecastable(api, ids)[:3]}).encode()
        features = json.dumps({"features": dict(ROWS[0])}).encode()
        answers = [post(api, each, own, is_fast=is_fast) for each in (body, features) for is_fast in (True, False)]
    (segment,) = away.prediction_log_dir.glob(f"*{SUFFIX}")
    messages, _ = SegmentReader(segment).read()
    events = [decode("okr_ai_predictions", each.value, each.key) for each in messages]
    served = [one["prediction_id"] for answer in answers for one in answer.json()["predictions"]]
    assert [each.payload.prediction_id for each in events] == served
    assert len(set(served)) == 8
    for quick, documented in zip([*events[:3], events[6]], [*events[3:6], events[7]], strict=True):
        assert quick.data.replace(quick.payload.prediction_id, documented.payload.prediction_id) == documented.data
        assert abs((quick.envelope.time - documented.envelope.time).total_seconds()) < 30
        same = ("type", "source", "specversion", *(("subject",) if quick.payload.cycle_id else ()))
        assert [getattr(quick.envelope, name) for name in same] == [getattr(documented.envelope, name) for name in same]


def test_a_full_log_is_an_error_of_both(fast: Api, headers: dict[str, str], ids: list[str], tmp_path: Any) -> None:
    update = {"kafka_bootstrap": "127.0.0.1:9", "state": tmp_path, "prediction_log_bytes": 8_192}
    with serving(fast.settings.model_copy(update=update)) as api:
        until(api.services.prediction.current_answers.newest, "the answers are prepared")
        own = api.headers("app") | JSON
        body = json.dumps({"key_result_ids": forecastable(api, ids)[:1]}).encode()
        answer = api.client.post("/predict", content=body, headers=own)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:okr:problem:not-persisted")


def test_predictions_by_id_are_answered_while_postgresql_is_unavailable(fast: Api, ids: list[str]) -> None:
    with serving(fast.settings) as api:
        until(api.services.prediction.current_answers.newest, "the answers are prepared")
        own = api.headers("app") | JSON
        body = json.dumps({"key_result_ids": forecastable(api, ids)}).encode()
        assert api.client.get("/v1/publication", headers=own).status_code == 200
        api.services.warehouse.close()
        assert api.client.get("/v1/publication", headers=own).status_code == 503
        assert api.client.post("/predict", content=body, headers=own).status_code == 200
