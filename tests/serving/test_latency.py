"""Request latencies become events that name a route and no person."""

import random
import threading
import uuid
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client.utils import floatToGoString

from ingestion.contract_validation import decode
from ingestion.spool import Limits, Spool
from lakehouse.contracts.app_metric import AppMetricSampled
from lakehouse.kafka_connection import KafkaConnection
from serving.http.request_metrics import Durations, RequestMetrics, since
from serving.observability.latency import LatencyReporter, samples
from serving.observability.metrics import REGISTRY, REQUEST_BOUNDS_S
from serving.spool_sender import SpoolSender
from tests.serving.live_server import Api, serving
from tests.serving.topic_reader import read_until

TOPIC = "okr_system_metrics"


@pytest.mark.parametrize("seed", range(5))
def test_a_percentile_is_never_too_low_and_at_most_five_percent_too_high(seed: int) -> None:
    took = [random.Random(seed * 10_000 + i).lognormvariate(-5, 1.5) for i in range(5_000)]
    durations = Durations()
    for each in took:
        durations.add(each)
    exact = sorted(took)
    for share in (0.5, 0.95, 0.99):
        true = exact[int(share * len(exact)) - 1]
        assert true <= durations.percentile_ms(share) / 1000 <= true * 1.05 + 1e-9


@pytest.mark.parametrize("took_s", [0.0, -1.0, 1e-12, 1e9])
def test_no_latency_is_beyond_the_buckets(took_s: float) -> None:
    durations = Durations()
    durations.add(took_s)
    assert (durations.count, sum(durations.coarse_counts())) == (1, 1)


def test_requests_of_many_threads_are_counted_once() -> None:
    counted = RequestMetrics()

    def observe() -> None:
        for _ in range(1_000):
            counted.observe("GET", "/x", 200, 0.001)

    threads = [threading.Thread(target=observe) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    before = counted.copy()
    counted.observe("GET", "/x", 200, 0.001)
    assert before[("GET", "/x", 200)].count == 8_000
    assert [each.count for each in since(before, counted.copy()).values()] == [1]
    assert since(before, before) == {}


def test_errors_and_requests_are_counted_by_route() -> None:
    counted = RequestMetrics()
    for status in (200, 404, 500, 503):
        counted.observe("POST", "/predict", status, 0.010)
    values = {each.metric: each.value for each in samples(counted.copy(), 30.0)}
    assert (values["requests"], values["server_errors"]) == (4.0, 2.0)
    assert 10.0 <= values["request_latency_p95"] <= 10.5


def test_prometheus_and_the_events_count_the_same_requests() -> None:
    counted, route = RequestMetrics(), f"/{uuid.uuid4().hex}"
    took = [random.Random(number).lognormvariate(-5, 1.5) for number in range(1_000)]
    for number, each in enumerate(took):
        counted.observe("GET", route, 200, each)
        if number % 300 == 0:
            counted.export()
    counted.export()
    labels = {"method": "GET", "route": route, "status": "200"}

    def value(name: str, **more: str) -> float | None:
        return REGISTRY.get_sample_value(f"okr_http_request_duration_seconds_{name}", labels | more)

    assert value("count") == len(took)
    assert value("sum") == pytest.approx(sum(took))
    for bound in REQUEST_BOUNDS_S:
        assert value("bucket", le=floatToGoString(bound)) == sum(each <= bound for each in took), bound


def test_a_request_s_latency_is_an_event_of_its_route_and_of_no_person(api: Api) -> None:
    with serving(api.settings) as mine:
        headers = mine.headers("app")
        path = "/v1/users/somebody-in-person/activity"
        assert mine.client.get(path, headers=headers).status_code == 404, "nobody of that name, but timed all the same"
        instance = samples({("GET", "/", 200): Durations()}, 1.0)[0].instance

    def is_of_the_route(value: bytes) -> bool:
        data: dict[str, Any] = msgspec.json.decode(value)["data"]
        is_ours = data.get("instance") == instance and data.get("metric") == "request_latency_p95"
        route = data["labels"].get("route", "")
        return is_ours and route.startswith("/v1/users/") and route.endswith("/activity")

    event = read_until(api.settings, TOPIC, is_of_the_route)
    payload = decode(TOPIC, event.value, event.key).payload
    assert isinstance(payload, AppMetricSampled)
    assert (payload.app, payload.instance, payload.unit) == ("okr-api", instance, "ms")
    assert payload.labels == {"method": "GET", "route": "/v1/users/{user_id:path}/activity"}
    assert payload.value > 0
    assert b"somebody" not in event.value


def test_latencies_leave_half_of_the_spool_to_other_events(tmp_path: Path) -> None:
    sender = SpoolSender(KafkaConnection("127.0.0.1:1"), Spool(tmp_path, "okr-api", Limits(events=20)))
    counted = RequestMetrics()
    reporter = LatencyReporter(counted, sender, window_s=3600.0)

    def reported() -> int:
        counted.observe("GET", "/x", 200, 0.001)
        reporter.report()
        return sender.state().waiting

    assert [reported() for _ in range(4)] == [5, 10, 15, 15]
