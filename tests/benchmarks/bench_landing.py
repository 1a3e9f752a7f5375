"""Landing compared with a tuned loop that only reads, by medians of several rounds; and with ten times the events.

One round is the bare loop, one worker and two workers, one after the other and each in separate processes, so that
other load affects all of them. The broker runs on the same cores.
"""

import os
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.settings import Settings
from tests.benchmarks.events import TOPIC, fill
from tests.benchmarks.processes import Measured, land, read_only
from tests.topics import empty_topics

EVENTS = int(os.environ.get("OKR_BENCH_EVENTS", "1000000"))
ROUNDS = int(os.environ.get("OKR_BENCH_ROUNDS", "5"))
MIN_RATIO = {1: 0.28, 2: 0.33}  # of the rate of the bare loop, by number of workers
MAX_CPU = 3.33  # times the CPU of the bare loop: 3.0 s per million events instead of 0.9
MOST_MEGABYTES = 800
MAX_GROWTH = 1.15  # of the CPU time per event, from the small number of events to ten times that
Lake = Callable[[], Settings]


@pytest.fixture
def new_lake(kafka: Settings, tmp_path: Path) -> Lake:
    numbers = iter(range(1000))

    def lake() -> Settings:
        place = str(tmp_path / f"lake{next(numbers)}")
        return Settings(kafka_bootstrap=kafka.kafka_bootstrap, lake_uri=place, airflow_url="")

    return lake


def line(name: str, found: list[Measured], events: int) -> str:
    seconds = statistics.median(each.seconds for each in found)
    cpu = statistics.median(each.cpu for each in found) / events * 1e6
    megabytes = max(each.megabytes for each in found)
    return f"{name:<14} {events / seconds:>10,.0f} msg/s  {cpu:>5.2f} CPU s per million  {megabytes:>4.0f} MB"


@pytest.mark.timeout(1800)
def test_landing_is_compared_with_a_loop_that_only_reads(kafka: Settings, new_lake: Lake) -> None:
    empty_topics(kafka.kafka_bootstrap)
    fill(kafka.kafka_bootstrap, EVENTS)
    bare: list[Measured] = []
    landing: dict[int, list[Measured]] = {workers: [] for workers in MIN_RATIO}
    for _ in range(ROUNDS):
        bare.append(read_only(kafka.kafka_bootstrap, TOPIC, EVENTS))
        for workers, found in landing.items():
            found.append(land(new_lake(), workers=workers))
            assert found[-1].rows == EVENTS
    print(f"\n{EVENTS:,} events, medians of {ROUNDS} rounds\n{line('bare loop', bare, EVENTS)}")
    ratios, cpus = {}, {}
    for workers, found in landing.items():
        pairs = list(zip(bare, found, strict=True))
        ratios[workers] = statistics.median(loop.seconds / each.seconds for loop, each in pairs)
        cpus[workers] = statistics.median(each.cpu / loop.cpu for loop, each in pairs)
        print(
            f"{line(f'{workers} worker(s)', found, EVENTS)}  ratio {ratios[workers]:.3f}, CPU {cpus[workers]:.2f} times"
        )
    assert max(each.megabytes for found in landing.values() for each in found) < MOST_MEGABYTES
    assert cpus[1] <= MAX_CPU
    assert all(ratios[workers] >= least for workers, least in MIN_RATIO.items()), ratios


@pytest.mark.timeout(3600)
def test_landing_cost_grows_linearly_with_the_events(kafka: Settings, new_lake: Lake) -> None:
    found = {}
    for events in (EVENTS, 10 * EVENTS):
        empty_topics(kafka.kafka_bootstrap)
        fill(kafka.kafka_bootstrap, events)
        found[events] = land(new_lake(), workers=1)
        assert found[events].rows == events
        print(f"\n{line(f'{events:,}', [found[events]], events)}")
    empty_topics(kafka.kafka_bootstrap)
    growth = found[10 * EVENTS].cpu / found[EVENTS].cpu / 10
    print(f"CPU of an event: {growth:.2f} times")
    assert growth <= MAX_GROWTH
