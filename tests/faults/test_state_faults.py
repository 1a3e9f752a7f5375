"""The state consumer is killed at every step and at random, hangs, and loses PostgreSQL or Redis."""

import random
import signal
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis

from ingestion.contract_validation import encode
from ingestion.landing.consumer import land
from ingestion.producer import EventProducer
from ingestion.state.consumer import consume_state
from ingestion.state.redis_figures import open_redis
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.key_result import KeyResultDefined
from lakehouse.contracts.objective import ObjectiveDefined
from lakehouse.contracts.user import UserDefined
from lakehouse.settings import Settings
from tests.faults.conftest import StartWorker
from tests.faults.proof import prove
from tests.faults.services import OwnPostgres, OwnRedis
from tests.realtime_figures import read_figures

IMPORTS = """
from ingestion.batch import Limits
from ingestion.kafka_consumer import KafkaConsumer
from ingestion.state import consumer, redis_figures
from ingestion.state.redis_figures import RealtimeFigures
from ingestion.state.projection import Projection
from ingestion.state.store import StateStore
consumer.Limits = lambda rows: Limits(rows=100, seconds=0.3)
"""
# Each step of the protocol, in order; for repeated steps, their second occurrence.
STEPS = {
    "before it reads the stored offset": "before(StateStore, 'next_offset', die)",
    "after its seek": "after(KafkaConsumer, 'rewind', die)",
    "after a batch was read": "after(KafkaConsumer, 'poll', die, given=lambda batch: batch.rows, times=2)",
    "after a batch was decoded": "after(consumer, 'valid_events', die, times=2)",
    "before the transaction": "before(StateStore, 'apply', die, times=2)",
    "with the group's lock held, before its offsets are updated": "before(StateStore, '_move_offsets', die, times=2)",
    "with its offsets updated": "after(StateStore, '_move_offsets', die, times=2)",
    "with the events stored, nothing projected": "before(Projection, 'project', die, times=2)",
    "with the users projected, the key results not": "before(Projection, '_project_okrs', die, times=2)",
    "with everything projected, before COMMIT": "after(StateStore, '_store', die, times=2)",
    "during COMMIT": "after(StateStore, '_store', lambda: die_soon(0.002), times=2)",
    "after COMMIT, before the offset commit to Kafka": "before(KafkaConsumer, 'report_stored', die, times=2)",
    "after the offset commit to Kafka": "after(KafkaConsumer, 'report_stored', die, times=2)",
    "before it writes to Redis": "before(RealtimeFigures, 'write', die, times=2)",
    "in the middle of writing to Redis": "after(redis_figures, '_write_recent', die, times=2)",
    "after it wrote to Redis": "after(RealtimeFigures, 'write', die, times=2)",
    "while it leaves the group": "before(KafkaConsumer, 'close', die)",
}
AT_LENGTH = set(STEPS) - {
    "with the events stored, nothing projected",
    "after COMMIT, before the offset commit to Kafka",
}
MARKED = [pytest.param(step, marks=pytest.mark.chaos if step in AT_LENGTH else ()) for step in STEPS]

KEY_RESULTS = 20


def send(producer: EventProducer, rounds: range) -> int:
    """Send a user, an objective, its key results, a check-in on each, and an invalid message; return their number."""
    for number in rounds:
        at = datetime.now(UTC) - timedelta(minutes=50) + timedelta(seconds=number)
        facts: list[Any] = [
            UserDefined(user_id="u", name=f"n{number}", email="u@x.org"),
            ObjectiveDefined(objective_id="o", team_id="t", cycle_id="c", title=f"t{number}"),
        ]
        for key in range(KEY_RESULTS):
            key_result = KeyResultDefined(
                key_result_id=f"k{key}", objective_id="o", title="k", unit="percent", baseline=0, target=100,
                direction="increase", owner_user_id="u",
            )  # fmt: skip
            check_in = CheckInRecorded(
                check_in_id=f"c{number}-{key}", key_result_id=f"k{key}", value=number, user_id=f"v{key}"
            )
            facts += [key_result, check_in]
        for fact in facts:
            producer.send(encode(fact, at=at, source="test"))
        producer.send_raw("okr_user_events", b"k", b"no event")
    producer.flush()
    return len(rounds) * (2 + 2 * KEY_RESULTS + 1)


def state(settings: Settings) -> dict[str, list[tuple[object, ...]]]:
    queries = {
        "users": "SELECT name, email FROM app.users",
        "okrs": (
            "SELECT objective, last_value, status, count(*) FROM app.okrs JOIN app.users USING (user_id)"
            " GROUP BY objective, last_value, status"
        ),
        "check_ins": "SELECT count(*), count(DISTINCT key_result_id) FROM app.check_ins",
    }
    with psycopg.connect(settings.require("dsn_loader")) as connection:
        return {name: connection.execute(query.encode()).fetchall() for name, query in queries.items()}


def expected(rounds: int) -> dict[str, list[tuple[object, ...]]]:
    """Return the expected state after this number of rounds."""
    last = rounds - 1
    return {
        "users": [(f"n{last}", "u@x.org")],
        "okrs": [(f"t{last}", float(last), "in_progress", KEY_RESULTS)],
        "check_ins": [(rounds * KEY_RESULTS, KEY_RESULTS)],
    }


def figures(settings: Settings) -> dict[str, Any]:
    with closing(open_redis(settings.require("redis_url"))) as redis:
        return read_figures(redis)


def check_ins_in_redis(settings: Settings) -> int:
    with closing(open_redis(settings.require("redis_url"))) as redis:
        return int(redis.zcount("okr:check_ins", "-inf", "+inf"))


@pytest.mark.parametrize("step", MARKED)
def test_a_state_consumer_is_killed(
    step: str, pipeline: Settings, producer: EventProducer, start_worker: StartWorker, redis_admin: Redis
) -> None:
    redis_admin.flushall()
    sent = send(producer, range(8))
    worker = start_worker(pipeline, "consume", "state", "--drain", arm=f"{IMPORTS}\n{STEPS[step]}")
    assert worker.ended() == -signal.SIGKILL, f"it was not killed {step}: {worker.text()}"
    sent += send(producer, range(8, 10))
    consume_state(pipeline, threading.Event(), drain=True)
    assert state(pipeline) == expected(10)
    assert check_ins_in_redis(pipeline) == 10 * KEY_RESULTS
    land(pipeline, threading.Event(), drain=True)
    prove(pipeline, fault=f"state consumer killed {step}", sent=sent)


@pytest.mark.parametrize("times", [5, pytest.param(70, marks=[pytest.mark.chaos, pytest.mark.timeout(3600)])])
def test_a_state_consumer_is_killed_at_random_moments(
    times: int, pipeline: Settings, producer: EventProducer, start_worker: StartWorker
) -> None:
    chance, sent, killed = random.Random(times), 0, 0
    for number in range(times):
        sent += send(producer, range(number * 4, number * 4 + 4))
        within = chance.uniform(0, 1.0)
        arm = f"{IMPORTS}\nafter(KafkaConsumer, 'rewind', lambda: die_soon({within}))"
        killed += start_worker(pipeline, "consume", "state", "--drain", arm=arm).ended() == -signal.SIGKILL
    assert killed >= times // 2  # other loads finished before
    consume_state(pipeline, threading.Event(), drain=True)
    assert state(pipeline) == expected(4 * times)
    land(pipeline, threading.Event(), drain=True)
    prove(pipeline, fault="state consumer killed at random moments", sent=sent)


@pytest.mark.chaos
def test_a_state_consumer_that_hung_while_another_continued_changes_nothing_when_it_wakes_up(
    pipeline: Settings, producer: EventProducer, start_worker: StartWorker
) -> None:
    sent = send(producer, range(8))
    hung = start_worker(
        pipeline, "consume", "state", "--drain", arm=f"{IMPORTS}\nbefore(StateStore, 'apply', freeze, times=2)"
    )
    hung.until_frozen()
    assert state(pipeline)["check_ins"] != [(0, 0)], "a batch is stored"
    consume_state(pipeline, threading.Event(), drain=True)
    assert state(pipeline) == expected(8)
    hung.thaw()
    assert hung.ended() == 0, hung.text()
    assert state(pipeline) == expected(8)
    land(pipeline, threading.Event(), drain=True)
    prove(pipeline, fault="a state consumer hangs while another one continues", sent=sent)


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGQUIT, marks=pytest.mark.chaos)], ids=["killed", "immediate"]
)
def test_postgresql_is_killed_during_a_transaction_of_the_state_consumer(
    number: signal.Signals, pipeline: Settings, producer: EventProducer, start_worker: StartWorker, tmp_path: Path
) -> None:
    """The consumer retries until the database is back, and continues at its stored offset."""
    with OwnPostgres(tmp_path / "postgres") as server:
        settings = server.instead_of(pipeline)
        sent = send(producer, range(8))
        arm = f"{IMPORTS}\nafter(StateStore, '_store', freeze, times=2)"
        worker = start_worker(settings, "consume", "state", arm=arm)
        worker.until_frozen()  # in the middle of a transaction
        server.kill(number)
        server.start()
        worker.thaw()
        sent += send(producer, range(8, 10))
        worker.wait_until(lambda: state(settings) == expected(10), "the state is whole")
        assert "the consumer failed; restarting it" in worker.text()
        land(settings, threading.Event(), drain=True)
        prove(settings, fault="PostgreSQL killed during a transaction of the state consumer", sent=sent)


def test_redis_is_flushed_and_killed(
    pipeline: Settings, producer: EventProducer, start_worker: StartWorker, tmp_path: Path
) -> None:
    """The figures are rebuilt automatically after a flush, and after Redis was killed and restarted empty."""
    with OwnRedis(tmp_path / "redis") as server:
        settings = server.instead_of(pipeline)
        worker = start_worker(settings, "consume", "state", arm=IMPORTS)
        sent = send(producer, range(4))
        worker.wait_until(lambda: check_ins_in_redis(settings) == 4 * KEY_RESULTS, "the figures are there")
        worker.wait_until(lambda: figures(settings)["progress_by_cycle"] == {"c": 0.03}, "progress is there")
        with closing(server.admin()) as admin:
            admin.flushall()
        worker.wait_until(
            lambda: check_ins_in_redis(settings) == 4 * KEY_RESULTS, "the figures are whole after a flush"
        )
        server.kill()
        sent += send(producer, range(4, 6))
        worker.wait_until(lambda: state(settings) == expected(6), "the state is whole without Redis")
        server.start()
        worker.wait_until(
            lambda: check_ins_in_redis(settings) == 6 * KEY_RESULTS, "the figures are whole with a new Redis"
        )
        worker.wait_until(lambda: figures(settings)["progress_by_cycle"] == {"c": 0.05}, "progress is whole")
        assert figures(settings)["active_users"] == 0  # all events are 50 minutes old
        assert worker.end() == 0
        land(settings, threading.Event(), drain=True)
        prove(settings, fault="Redis flushed and killed", sent=sent)
