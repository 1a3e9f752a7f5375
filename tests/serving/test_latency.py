"""Request latencies become events that name a route and no person."""

import random
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ingestion.contract_validation import decode
from ingestion.spool import Limits, Spool
from lakehouse.contracts.app_metric import AppMetricSampled
from serving.latency import BUCKETS, Histogram, Latencies, LatencyReporter, samples
from serving.outbox import Outbox
from tests.serving.live_server import Api, serving
from tests.serving.topic_reader import read_until

TOPIC = "okr_system_metrics"


@pytest.mark.parametrize("seed", range(5))
def test_a_percentile_is_never_too_low_and_at_most_five_percent_too_high(seed: int) -> None:
    took = [random.Random(seed * 10_000 + i).lognormvariate(2, 1.5) for i in range(5_000)]
    histogram = Histogram()
    for each in took:
        histogram.add(each, 200)
    exact = sorted(took)
    for share in (0.5, 0.95, 0.99):
        true = exact[int(share * len(exact)) - 1]
        assert true <= histogram.percentile_ms(share) <= true * 1.05 + 1e-9


@pytest.mark.parametrize("took_ms", [0.0, -1.0, 1e-9, 1e12])
def test_no_latency_is_beyond_the_buckets(took_ms: float) -> None:
    histogram = Histogram()
    histogram.add(took_ms, 200)
    assert 0 <= next(iter(histogram.buckets)) <= BUCKETS


def test_requests_of_many_threads_are_counted_once_and_a_window_is_taken_once() -> None:
    latencies = Latencies()

    def observe() -> None:
        for _ in range(1_000):
            latencies.observe("GET", "/x", 200, 1.0)

    threads = [threading.Thread(target=observe) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert latencies.take()[("GET", "/x")].count == 8_000
    assert latencies.take() == {}


def test_an_unknown_method_does_not_become_a_label() -> None:
    latencies = Latencies()
    latencies.observe("BREW-0001", "(no route)", 405, 1.0)
    assert list(latencies.take()) == [("other", "(no route)")]


def test_errors_and_requests_are_counted_by_route() -> None:
    latencies = Latencies()
    for status in (200, 404, 500, 503):
        latencies.observe("POST", "/predict", status, 10.0)
    values = {each.metric: each.value for each in samples(latencies.take(), 30.0)}
    assert (values["requests"], values["server_errors"]) == (4.0, 2.0)


def test_a_request_s_latency_is_an_event_of_its_route_and_of_no_person(api: Api) -> None:
    with serving(api.settings) as mine:
        headers = mine.headers("app")
        path = "/v1/users/somebody-in-person/activity"
        assert mine.client.get(path, headers=headers).status_code == 404, "nobody of that name, but timed all the same"
        instance = samples({("GET", "/"): Histogram()}, 1.0)[0].instance

    def is_of_the_route(value: bytes) -> bool:
        data: dict[str, Any] = msgspec.json.decode(value)["data"]
        return data.get("metric") == "request_latency_p95" and "activity" in data["labels"]["route"]

    event = read_until(api.settings, TOPIC, is_of_the_route)
    payload = decode(TOPIC, event.value, event.key).payload
    assert isinstance(payload, AppMetricSampled)
    assert (payload.app, payload.instance, payload.unit) == ("okr-api", instance, "ms")
    assert payload.labels == {"method": "GET", "route": "/v1/users/{user_id:path}/activity"}
    assert payload.value > 0
    assert b"somebody" not in event.value


def test_latencies_leave_half_of_the_spool_to_other_events(tmp_path: Path) -> None:
    outbox = Outbox("127.0.0.1:1", Spool(tmp_path, "okr-api", Limits(events=20)))
    reporter = LatencyReporter(outbox, window_s=3600.0)

    def reported() -> int:
        reporter.latencies.observe("GET", "/x", 200, 1.0)
        reporter._report()
        return outbox.state().waiting

    assert [reported() for _ in range(4)] == [5, 10, 15, 15]
