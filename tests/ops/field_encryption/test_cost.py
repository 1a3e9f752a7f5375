"""What encrypting personal fields costs landing and loading, as the ratio of CPU seconds."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingestion.landing.consumer import land
from ingestion.loading import load
from ingestion.producer import EventProducer
from ingestion.sources.simulator import SCALES, messages, organisation
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.settings import Settings
from tests.benchmarks.events import fill
from tests.databases import NewDatabase
from tests.figures import report
from tests.ops.field_encryption.conftest import new_key, with_keys
from tests.topics import empty_topics

ROUNDS = 2
NOTES = 30_000
MAX_RATIO = {"a simulated organisation": 1.6, "only check-ins with a note": 4.5}


def cpu_of(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def send_organisation(settings: Settings) -> None:
    with EventProducer(KafkaConnection.of(settings)) as producer:
        scale = replace(SCALES["default"], teams=SCALES["default"].teams // 6, users=SCALES["default"].users // 6)
        for message in messages(organisation(7, scale), datetime(2026, 11, 20, 12, tzinfo=UTC)):
            producer.send_raw(message.event.topic, message.event.key, message.event.value)


@pytest.mark.timeout(600)
def test_the_cost_of_encryption_is_bounded(pipeline: Settings, new_database: NewDatabase, tmp_path: Path) -> None:
    lines, ratios = [], {}
    fills = {
        "a simulated organisation": lambda: send_organisation(pipeline),
        "only check-ins with a note": lambda: fill(pipeline.kafka_bootstrap, NOTES),
    }
    for name, send in fills.items():
        empty_topics(pipeline.kafka_bootstrap)
        send()
        landing: dict[bool, list[float]] = {False: [], True: []}
        loading: dict[bool, list[float]] = {False: [], True: []}
        rows = 0
        for number in range(ROUNDS):
            for has_keys in (False, True):
                with new_database() as database:
                    dsns = {each: getattr(database, each) for each in ("dsn_loader", "dsn_landing", "dsn_owner")}
                    lake = str(tmp_path / f"{name}-{number}-{has_keys}")
                    settings = pipeline.model_copy(update=dsns | {"lake_uri": lake})
                    settings = with_keys(settings, *[new_key()] * has_keys)
                    found: list[int] = []
                    landing[has_keys].append(
                        cpu_of(lambda: found.append(land(settings, threading.Event(), drain=True)))  # noqa: B023
                    )
                    loading[has_keys].append(cpu_of(lambda: load(settings)))  # noqa: B023
                    rows = found[0]
        for step, seconds in (("landing", landing), ("load", loading)):
            plain, encrypted = (min(seconds[has_keys]) / rows * 1e6 for has_keys in (False, True))
            ratio = encrypted / plain
            lines.append([f"{step}: {name}", f"{rows:,}", f"{plain:.2f}", f"{encrypted:.2f}", f"{ratio:.2f}"])
            ratios[step, name] = ratio
    report(
        "Field encryption: cost of landing and loading",
        ["", "messages", "CPU s per million, without", "with encryption", "ratio"],
        lines,
        f"The fastest of {ROUNDS} runs in one process. Every person and every key is new.",
    )
    assert all(ratio <= MAX_RATIO[name] for (step, name), ratio in ratios.items() if step == "landing"), ratios
