"""Backlogs, measured on real services."""

import shutil
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from ingestion.consumer_groups import LANDING_GROUP as LANDING
from ingestion.consumer_groups import STATE_GROUP as STATE
from ingestion.contract_validation import EncodedEvent
from ingestion.landing.consumer import land
from ingestion.loading import load
from ingestion.sources.metrics import queues
from ingestion.sources.metrics.families import Reading
from ingestion.sources.metrics.queues import Group, consumer_lag, spool_depth, waiting_for_raw
from ingestion.sources.metrics.service_probes import kafka_up, postgresql_up, redis_up
from ingestion.spool import Drainer, Spool
from lakehouse.contracts import TOPICS
from lakehouse.contracts.app_metric import AppMetricSampled
from lakehouse.errors import RetryableError
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.settings import Settings

TOPIC = "okr_user_events"


@pytest.fixture
def settings(pipeline: Settings, tmp_path: Path) -> Settings:
    return pipeline.model_copy(update={"state": tmp_path / "state"})


@pytest.fixture
def groups(settings: Settings) -> list[Group]:
    return [Group.landing(settings), Group.state(settings)]


def waiting(samples: Iterable[AppMetricSampled], metric: str) -> dict[str, float]:
    """Return the backlog of the topic by consumer, from samples of one metric."""
    of_topic = [each for each in samples if each.labels == {"topic": TOPIC}]
    assert {(each.metric, each.unit, each.instance) for each in of_topic} == {(metric, "events", "h")}
    assert len({each.app for each in of_topic}) == len(of_topic), "each is reported once"
    return {each.app: each.value for each in of_topic}


def test_the_backlog_of_each_group_and_of_raw_is_counted(
    settings: Settings, groups: list[Group], check_in: Callable[[int], EncodedEvent]
) -> None:
    spool = Spool.of(settings, "test")
    spool.append([check_in(number) for number in range(30)])
    depth = list(spool_depth(settings, "h"))
    events = {each.metric: each.value for each in depth if isinstance(each, AppMetricSampled)}
    assert events == {"spool_waiting": 30.0, "spool_rejected": 0.0}
    readings = {each.name: each.value for each in depth if isinstance(each, Reading)}
    assert readings["okr_spool_fill_ratio"] == 30 / settings.spool_events
    assert 0 <= readings["okr_spool_oldest_seconds"] < 60
    Drainer(spool, KafkaConnection.of(settings)).drain(60)
    before = list(consumer_lag(groups, "h"))
    assert waiting(before, "consumer_lag") == {LANDING: 30.0, STATE: 30.0}
    read = {group: {each.labels["topic"] for each in before if each.app == group} for group in (LANDING, STATE)}
    assert read == {LANDING: set(TOPICS), STATE: {TOPIC}}, "what a group never reads does not wait for it"
    land(settings, threading.Event(), drain=True)
    assert waiting(consumer_lag(groups, "h"), "consumer_lag") == {LANDING: 0.0, STATE: 30.0}
    assert waiting(waiting_for_raw(settings, groups[0], "h"), "waiting_for_raw") == {"okr-load": 30.0}
    moved = settings.model_copy(update={"lake_uri": f"{settings.lake_uri}-moved"})
    shutil.copytree(settings.lake_uri, moved.lake_uri)
    land(moved, threading.Event(), drain=True)
    assert waiting(consumer_lag([Group.landing(moved)], "h"), "consumer_lag") == {LANDING: 0.0}  # its group is new
    load(settings)
    assert waiting(waiting_for_raw(settings, groups[0], "h"), "waiting_for_raw") == {"okr-load": 0.0}
    assert [each.value for each in spool_depth(settings, "h")] == [0.0] * 4


def test_a_lag_is_never_negative_and_deleted_messages_do_not_count() -> None:
    """Users of Kafka exporters saw both (danielqsj/kafka_exporter#169, seglo/kafka-lag-exporter#37)."""
    ahead, deleted, normal = ("a", 0), ("b", 0), ("c", 0)
    starts = {ahead: 0, deleted: 1_000_000, normal: 0}
    ends = {ahead: 10, deleted: 1_000_000, normal: 10}
    unread = queues._unread_by_topic(starts, ends, {ahead: 12, deleted: 5, normal: 4})
    assert unread == {"a": 0, "b": 0, "c": 6}


def test_services_that_respond_are_up_and_others_are_down(settings: Settings, groups: list[Group]) -> None:
    away = settings.model_copy(update={"dsn_metrics": type(settings.dsn_metrics)("postgresql://a:b@127.0.0.1:1/c")})
    assert [
        next(each).value
        for each in (kafka_up(KafkaConnection.of(settings), "h"), postgresql_up(settings, "h"), redis_up(settings, "h"))
    ] == [1, 1, 1]
    assert next(postgresql_up(away, "h")).value == 0.0
    assert next(kafka_up(KafkaConnection("127.0.0.1:1"), "h")).value == 0.0


def test_without_postgresql_there_is_no_sample(settings: Settings, groups: list[Group]) -> None:
    away = settings.model_copy(update={"dsn_metrics": type(settings.dsn_metrics)("postgresql://a:b@127.0.0.1:1/c")})
    with pytest.raises(RetryableError, match="did not accept"):
        list(waiting_for_raw(away, groups[0], "h"))
