"""The landing worker, the state consumer and the loader run together and are killed at random moments."""

import random
import threading
import time
from collections.abc import Mapping

import psycopg
import pytest

from ingestion.landing.consumer import land
from ingestion.loading import load
from ingestion.producer import EventProducer
from ingestion.state.consumer import consume_state
from lakehouse.settings import Settings
from tests.faults.conftest import StartWorker
from tests.faults.lake import TOPIC, Events
from tests.faults.proof import prove

COMMANDS = {"land": ("consume", "land"), "state": ("consume", "state"), "load": ("load",)}
KEY_RESULTS = 50  # the fixture `check_in` spreads its numbers over as many
PORTION = 200


def state(settings: Settings) -> tuple[int, Mapping[str, float]]:
    """Return the number of check-ins in the state tables, and the largest (here the last) value of each key result."""
    with psycopg.connect(settings.require("dsn_loader")) as connection:
        rows = connection.execute("SELECT key_result_id, max(value), count(*) FROM app.check_ins GROUP BY 1").fetchall()
    return sum(row[2] for row in rows), {row[0]: row[1] for row in rows}


@pytest.mark.parametrize("kills", [8, pytest.param(200, marks=[pytest.mark.chaos, pytest.mark.timeout(3600)])])
def test_land_state_and_load_killed_at_random_moments(
    kills: int, pipeline: Settings, producer: EventProducer, check_in: Events, start_worker: StartWorker
) -> None:
    chance = random.Random(kills)
    running = {name: start_worker(pipeline, *command) for name, command in COMMANDS.items()}
    killed, sent = dict.fromkeys(COMMANDS, 0), 0
    while sum(killed.values()) < kills:
        for number in range(sent, sent + PORTION):
            producer.send(check_in(number))
        producer.flush()
        sent += PORTION
        victim = min(killed, key=lambda name: (killed[name], chance.random()))
        if not running[victim].is_running():
            # A finished load is followed by the next one, as on a schedule; the others never end on their own.
            assert victim == "load", running[victim].text()
            running[victim] = start_worker(pipeline, *COMMANDS[victim])
        time.sleep(chance.uniform(0.1, 2.5))  # a random time until the kill, not a wait for a condition
        if running[victim].is_running():
            running[victim].kill()
            killed[victim] += 1
            running[victim] = start_worker(pipeline, *COMMANDS[victim])
    for worker in running.values():
        worker.leave()
    land(pipeline, threading.Event(), drain=True)
    load(pipeline)
    consume_state(pipeline, threading.Event(), drain=True)
    assert state(pipeline) == (sent, {f"k{number % KEY_RESULTS}": float(number) for number in range(sent)})
    prove(pipeline, fault=f"landing, state and load killed at {kills} random moments", sent=sent)
    with psycopg.connect(pipeline.require("dsn_loader")) as connection:
        assert connection.execute(f"SELECT count(*), count(DISTINCT event_id) FROM raw.{TOPIC}").fetchone() == (
            sent,
            sent,
        )
