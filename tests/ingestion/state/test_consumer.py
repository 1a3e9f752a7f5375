"""`okr consume state` on a real broker: events read once and twice, and the figures in Redis."""

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import SecretStr
from redis import Redis

from ingestion.consumer_groups import STATE_GROUP
from ingestion.contract_validation import encode
from ingestion.landing.consumer import land
from ingestion.producer import EventProducer
from ingestion.state.consumer import consume_state
from ingestion.state.from_lake import apply_from_lake
from ingestion.state.redis_figures import RealtimeFigures
from ingestion.state.store import Recent, StateStore
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.cycle import CycleDefined
from lakehouse.contracts.objective import ObjectiveDefined
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.ingestion.state.events import TOPIC, key_result
from tests.realtime_figures import read_figures


def send_history(producer: EventProducer, count: int) -> None:
    """Send a key result, `count` check-ins on it in the last seconds, and a malformed message."""
    now = datetime.now(UTC)
    cycle = CycleDefined(
        cycle_id="c", organisation_id="g", name="Q", starts_on=date(2026, 1, 1), ends_on=date(2026, 3, 1)
    )
    objective = ObjectiveDefined(objective_id="o", team_id="t", cycle_id="c", title="Win")
    for data in (cycle, objective, key_result(1000)):
        producer.send(encode(data, at=now - timedelta(days=1), source="test"))
    for number in range(count):
        data = CheckInRecorded(check_in_id=f"c{number}", key_result_id="kr", value=float(number + 1), user_id="u")
        producer.send(encode(data, at=now - timedelta(seconds=count - number), source="test"))
    producer.send_raw(TOPIC, b"kr", b"{bad")
    producer.flush()


@pytest.fixture
def redis(redis_admin: Redis) -> Redis:
    redis_admin.flushdb()
    return redis_admin


def test_events_read_twice_count_once(pipeline: Settings, producer: EventProducer, redis: Redis) -> None:
    send_history(producer, 50)
    assert consume_state(pipeline, threading.Event(), drain=True) == 53
    with connect(pipeline.require("dsn_loader")) as connection:
        connection.execute("DELETE FROM app.consumer_offset")
    assert consume_state(pipeline, threading.Event(), drain=True) == 53
    assert read_figures(redis) == {
        "active_users": 1,
        "check_ins_per_minute": 10.0,
        "progress_by_cycle": {"c": 0.05},
        "consumer_lag": {"okr-state": 0},
    }
    with connect(pipeline.require("dsn_loader")) as connection:
        assert connection.execute("SELECT count(*) FROM app.check_ins").fetchall() == [(50,)]
        assert connection.execute("SELECT last_value, status FROM app.okrs").fetchall() == [(50.0, "in_progress")]


def test_the_consumer_continues_without_redis(pipeline: Settings, producer: EventProducer) -> None:
    send_history(producer, 10)
    alone = pipeline.model_copy(update={"redis_state_url": SecretStr("redis://127.0.0.1:1/0")})
    assert consume_state(alone, threading.Event(), drain=True) == 13


@pytest.fixture
def figures(pipeline: Settings, producer: EventProducer, redis: Redis) -> Iterator[RealtimeFigures]:
    """The figures of an idle consumer that has read 50 check-ins."""
    send_history(producer, 50)
    consume_state(pipeline, threading.Event(), drain=True)
    with connect(pipeline.require("dsn_loader")) as connection:
        figures = RealtimeFigures(redis, STATE_GROUP, StateStore(connection, "cluster", STATE_GROUP))
        figures.write({(TOPIC, 0): 0})
        yield figures


def test_a_late_event_does_not_move_last_activity_back(figures: RealtimeFigures, redis: Redis) -> None:
    for minutes in (1, 40):
        row = {
            "event_type": "okr.page.viewed.v1", "event_id": f"e{minutes}", "data": '{"user_id":"looks","page":"p"}',
            "occurred_at": datetime.now(UTC) - timedelta(minutes=minutes),
        }  # fmt: skip
        figures.note([row], may_change_progress=False)
        figures.write({(TOPIC, 0): 0})
        assert read_figures(redis)["active_users"] == 2, f"of {minutes} minutes ago"


def test_figures_are_rebuilt_by_the_next_write_after_a_flush(figures: RealtimeFigures, redis: Redis) -> None:
    before = read_figures(redis)
    assert before["check_ins_per_minute"] == 10.0
    redis.flushall()
    figures.write({(TOPIC, 0): 0})
    assert read_figures(redis) == before


def test_figures_are_rebuilt_after_redis_restarts_from_an_old_dump(figures: RealtimeFigures, redis: Redis) -> None:
    before = read_figures(redis)
    old = {key: redis.dump(key) for key in redis.scan_iter() if key != b"okr:check_ins"}
    figures.write({(TOPIC, 0): 0})
    redis.flushall()
    for key, value in old.items():
        redis.restore(key, 0, value)
    figures.write({(TOPIC, 0): 0})
    assert read_figures(redis) == before


def test_rebuilding_figures_keeps_concurrent_writes_of_another_consumer(redis: Redis) -> None:
    now = datetime.now(UTC).timestamp()

    class Database:
        def __init__(self) -> None:
            self.check_ins: dict[str, float] = {}
            self.progress: dict[str, float] = {}
            self.during = lambda: None

        def recent(self, since: float) -> Recent:
            return Recent({}, dict(self.check_ins))

        def cycle_progress(self) -> dict[str, float]:
            before, during = dict(self.progress), self.during
            self.during = lambda: None
            during()
            return before

    database = Database()
    rebuilding, other = (RealtimeFigures(redis, STATE_GROUP, database) for _ in range(2))
    other.write({})

    def commit_and_write() -> None:
        database.check_ins, database.progress = {"e": now}, {"c": 0.5}
        other._recent, other._may_change_progress, other._progress_at = Recent({}, {"e": now}), True, 0.0
        other.write({})

    database.during = commit_and_write
    rebuilding.write({})
    assert redis.zrange("okr:check_ins", 0, -1) == [b"e"]
    assert read_figures(redis)["progress_by_cycle"] == {"c": 0.5}
    rebuilding.write({})
    other.write({})
    assert rebuilding._is_complete
    assert other._is_complete


def test_lags_of_several_workers_of_a_group_add_up(redis: Redis) -> None:
    class Nothing:
        def recent(self, since: float) -> Recent:
            return Recent({}, {})

        def cycle_progress(self) -> dict[str, float]:
            return {}

    for partition, lag in enumerate((3, 4, None)):
        RealtimeFigures(redis, STATE_GROUP, Nothing()).write({(TOPIC, partition): lag})
    assert read_figures(redis)["consumer_lag"] == {STATE_GROUP: 7}


def test_a_consumer_whose_events_kafka_has_lost_goes_on_from_the_lake(
    pipeline: Settings, producer: EventProducer, redis: Redis
) -> None:
    """After a restore without Kafka's messages, landing may have been ahead of the state consumer."""
    send_history(producer, 50)
    land(pipeline, threading.Event(), drain=True)
    assert apply_from_lake(pipeline) == 53
    assert apply_from_lake(pipeline) == 0
    with connect(pipeline.require("dsn_loader")) as connection:
        assert connection.execute("SELECT count(*) FROM app.check_ins").fetchone() == (50,)
    assert consume_state(pipeline, threading.Event(), drain=True) == 0, "offsets are beyond the rejected message, too"
