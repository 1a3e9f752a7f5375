"""`make bench-peers`: landing compared with Quix Streams, which writes the same topic as Parquet; by medians.

Quix Streams is installed in a separate environment. It does less: see quix_landing.py.
"""

import os
import statistics
from pathlib import Path

import pytest

from lakehouse.settings import Settings
from tests.benchmarks.events import TOPIC, fill
from tests.benchmarks.processes import land, measure
from tests.topics import empty_topics

QUIX_PYTHON = os.environ.get("OKR_QUIX_PYTHON", "")
EVENTS = int(os.environ.get("OKR_BENCH_EVENTS", "1000000"))
ROUNDS = int(os.environ.get("OKR_BENCH_ROUNDS", "5"))
MIN_RATE = 4.0  # times the rate of Quix Streams
MAX_CPU = 0.25  # of the CPU time of Quix Streams


@pytest.mark.timeout(3600)
def test_landing_is_compared_with_quix_streams(kafka: Settings, tmp_path: Path) -> None:
    assert QUIX_PYTHON, "Run this with `make bench-peers`, which creates an environment with Quix Streams."
    empty_topics(kafka.kafka_bootstrap)
    fill(kafka.kafka_bootstrap, EVENTS)
    program = Path(__file__).with_name("quix_landing.py").read_text()
    rates, cpus = [], []
    for number in range(ROUNDS):
        folder = str(tmp_path / f"quix{number}")
        arguments = [kafka.kafka_bootstrap, TOPIC, folder]
        quix = measure([QUIX_PYTHON, "-W", "ignore", "-c", program, *arguments], dict(os.environ))
        ours = land(
            Settings(kafka_bootstrap=kafka.kafka_bootstrap, lake_uri=str(tmp_path / f"lake{number}"), airflow_url=""),
            workers=1,
        )
        assert ours.rows == EVENTS
        rates.append((ours.rows / ours.seconds) / (quix.rows / quix.seconds))
        cpus.append((ours.cpu / ours.rows) / (quix.cpu / quix.rows))
        for name, each in (("Quix Streams", quix), ("okr consume land", ours)):
            rate, cpu = each.rows / each.seconds, each.cpu / each.rows * 1e6
            print(f"\n{name:<16} {rate:>9,.0f} msg/s  {cpu:>5.1f} CPU s per million  {each.megabytes:.0f} MB", end="")
    rate, cpu = statistics.median(rates), statistics.median(cpus)
    print(f"\nmedians of {ROUNDS} rounds of {EVENTS:,} events: {rate:.1f} times its rate at {cpu:.2f} of its CPU time")
    assert rate >= MIN_RATE
    assert cpu <= MAX_CPU
