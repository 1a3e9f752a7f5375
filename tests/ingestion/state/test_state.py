"""The state tables: newest wins, in whatever order and however often events come."""

import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import psycopg
import pytest

from ingestion.batch import Span
from ingestion.events import decode, encode
from ingestion.producer import EventProducer
from ingestion.state.consumer import follow
from ingestion.state.realtime import open_redis, read_figures
from ingestion.state.store import OvertakenError, PlacedEvent, StateStore
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.contracts.key_result import KeyResultDefined
from lakehouse.contracts.objective import ObjectiveDefined
from lakehouse.contracts.user import UserDefined
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.ingestion.crash import run_until_killed

TOPIC = "okr_user_events"
BEGUN = datetime(2026, 4, 1, tzinfo=UTC)
VERSIONS = Path(__file__).parents[3] / "infra" / "migrations" / "versions"


def placed(minute: int, data: msgspec.Struct, offset: int, partition: int = 0) -> PlacedEvent:
    event = encode(data, at=BEGUN + timedelta(minutes=minute), source="test")
    return PlacedEvent(partition, offset, decode(event.topic, event.value))


def key_result(target: float, **more: str) -> KeyResultDefined:
    return KeyResultDefined(
        key_result_id="kr", objective_id="o", title=f"to {target:.0f}", unit="percent", baseline=0, target=target,
        direction="increase", owner_user_id=more.get("owner", "u"),
    )  # fmt: skip


def check_in(number: int, value: float, *, final: bool = False) -> CheckInRecorded:
    return CheckInRecorded(check_in_id=f"c{number}", key_result_id="kr", value=value, is_final=final)


HISTORY = [
    placed(0, UserDefined(user_id="u", name="Ann", email="a@x.org"), 0, 1),
    placed(1, ObjectiveDefined(objective_id="o", team_id="t", cycle_id="c", title="First"), 0, 2),
    placed(2, key_result(100), 0),
    placed(3, check_in(1, 20), 1),
    placed(4, UserDefined(user_id="v", name="Bob", email="a@x.org"), 1, 1),
    placed(5, check_in(2, 50), 2),
    placed(6, key_result(200, owner="v"), 3),
    placed(7, UserDefined(user_id="u", name="Ann", email="ann@x.org"), 2, 1),
    placed(8, check_in(3, 60), 4),
    placed(8, check_in(3, 80), 5),  # a correction of the same moment
    placed(9, ObjectiveDefined(objective_id="o", team_id="t", cycle_id="c", title="Second"), 1, 2),
    placed(10, UserDefined(user_id="v", name="Bob", email="ann@x.org"), 3, 1),
    placed(11, UserDefined(user_id="v", name="Bob", email="bob@x.org"), 4, 1),
]


@pytest.fixture
def loader(fresh_database: Settings) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    with connect(fresh_database.require("dsn_loader"), autocommit=True) as connection:
        yield connection


def apply(loader: "psycopg.Connection[tuple[object, ...]]", events: list[PlacedEvent], position: int) -> int:
    """Apply a batch as if it lay at `position` of one partition."""
    start = position or None
    StateStore(loader, "cluster", "group").apply(TOPIC, events, {0: Span(start, position + len(events))})
    return position + len(events)


def state(loader: "psycopg.Connection[tuple[object, ...]]") -> tuple[list[object], list[object]]:
    return (
        loader.execute("SELECT * FROM app.users ORDER BY user_id").fetchall(),
        loader.execute("SELECT * FROM app.okrs ORDER BY okr_id").fetchall(),
    )


@pytest.mark.parametrize("seed", range(12))
def test_the_state_is_the_same_in_whatever_order_and_batches_events_come(
    seed: int, loader: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    chance = random.Random(seed)
    events = [*HISTORY, *chance.sample(HISTORY, 4)]
    if seed:
        chance.shuffle(events)
    position = 0
    while events:
        size = chance.randint(1, 5)
        position = apply(loader, events[:size], position)
        events = events[size:]
    users, _ = state(loader)
    assert [(row[1], row[2]) for row in sorted(users, key=lambda row: row[1])] == [
        ("Ann", "ann@x.org"),
        ("Bob", "bob@x.org"),
    ]
    shown = "SELECT objective, key_result, progress, status, u.name FROM app.okrs JOIN app.users u USING (user_id)"
    assert loader.execute(shown).fetchall() == [("Second", "to 200", Decimal("0.40"), "in_progress", "Bob")]
    created = "SELECT created_at, updated_at FROM app.okrs"
    assert loader.execute(created).fetchall() == [(BEGUN + timedelta(minutes=2), BEGUN + timedelta(minutes=8))]


def test_a_key_result_waits_for_nobody(loader: "psycopg.Connection[tuple[object, ...]]") -> None:
    apply(loader, [placed(3, check_in(1, 20), 1)], 0)
    assert state(loader) == ([], [])
    apply(loader, [placed(2, key_result(100), 0)], 1)
    shown = "SELECT user_id, objective, progress, status FROM app.okrs"
    assert loader.execute(shown).fetchall() == [(None, None, Decimal("0.20"), "in_progress")]


@pytest.mark.parametrize(("value", "status"), [(70.0, "achieved"), (69.9, "missed")])
def test_a_final_check_in_closes_the_key_result(
    value: float, status: str, loader: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    apply(loader, [placed(2, key_result(100), 0), placed(3, check_in(1, value, final=True), 1)], 0)
    assert loader.execute("SELECT status, is_closed FROM app.okrs").fetchall() == [(status, True)]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (0, 3, 1, 2)])
@pytest.mark.parametrize("batch", [1, 4])
def test_what_comes_after_the_closing_check_in_does_not_open_the_key_result_again(
    order: tuple[int, ...], batch: int, loader: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    history = [
        placed(2, key_result(100), 0),
        placed(3, check_in(1, 60, final=True), 1),
        placed(3, check_in(1, 90, final=True), 2),  # a correction of the closing check-in
        placed(4, check_in(2, 10), 3),
    ]
    events, position = [history[each] for each in order], 0
    for start in range(0, len(events), batch):
        position = apply(loader, events[start : start + batch], position)
    shown = "SELECT status, is_closed, last_value, last_check_in_at FROM app.okrs"
    assert loader.execute(shown).fetchall() == [("achieved", True, 90.0, BEGUN + timedelta(minutes=3))]


def test_a_key_result_closed_before_closing_check_ins_were_kept_stays_closed(fresh_database: Settings) -> None:
    with connect(fresh_database.require("dsn_loader"), autocommit=True) as loader:
        apply(loader, [placed(2, key_result(100), 0), placed(3, check_in(1, 90, final=True), 1)], 0)
        with connect(fresh_database.require("dsn_owner"), autocommit=True) as owner:
            owner.execute("DELETE FROM app.newest_event WHERE event_type LIKE '%/final'")
            owner.execute((VERSIONS / "0007_final_check_in.sql").read_bytes())
        apply(loader, [placed(4, check_in(2, 10), 2)], 2)
        assert loader.execute("SELECT status, last_value FROM app.okrs").fetchall() == [("achieved", 90.0)]


def test_one_uuid_written_in_two_ways_is_one_user(loader: "psycopg.Connection[tuple[object, ...]]") -> None:
    lower = "01978b1c-0000-7000-8000-00000000abcd"
    users = [
        placed(minute, UserDefined(user_id=written, name=written, email=f"{minute}@x.org"), minute)
        for minute, written in enumerate((lower, lower.upper()))
    ]
    apply(loader, users, 0)
    assert loader.execute("SELECT name, email FROM app.users").fetchall() == [(lower.upper(), "1@x.org")]


def test_a_batch_read_from_elsewhere_than_the_stored_offset_is_refused_whole(
    loader: "psycopg.Connection[tuple[object, ...]]",
) -> None:
    store = StateStore(loader, "cluster", "group")
    store.apply(TOPIC, HISTORY[:1], {0: Span(None, 1)})
    for start in (None, 0, 5):
        with pytest.raises(OvertakenError):
            store.apply(TOPIC, HISTORY[1:3], {0: Span(start, 9)})
    assert store.next_offset(TOPIC, 0) == 1
    assert state(loader)[1] == []


def send_history(producer: EventProducer, count: int) -> None:
    now = datetime.now(UTC)
    producer.send(encode(key_result(1000), at=now - timedelta(days=1), source="test"))
    for number in range(count):
        data = CheckInRecorded(check_in_id=f"c{number}", key_result_id="kr", value=float(number), user_id="u")
        producer.send(encode(data, at=now - timedelta(seconds=count - number), source="test"))
    producer.send_raw(TOPIC, b"kr", b"{bad")
    producer.flush()


KILLED_AT = {
    "inside the transaction": "from ingestion.state.store import StateStore as s; s._keep_newest = die",
    "between the transaction and Kafka's commit": "import ingestion.reader as r; r.PartitionReader.landed = die",
}


@pytest.mark.parametrize("step", KILLED_AT)
def test_a_consumer_killed_goes_on_where_the_database_stands(
    step: str, pipeline: Settings, producer: EventProducer, tmp_path: Path
) -> None:
    send_history(producer, 100)
    command = "from ingestion.state.consumer import follow; follow(settings, stop, drain=True)"
    run_until_killed(pipeline, KILLED_AT[step], command, tmp_path)
    follow(pipeline, threading.Event(), drain=True)
    with connect(pipeline.require("dsn_loader")) as connection:
        (row,) = connection.execute("SELECT last_value, status FROM app.okrs").fetchall()
        (read,) = connection.execute("SELECT sum(next_offset) FROM app.consumer_offset").fetchone() or (0,)
    assert row == (99.0, "in_progress")
    assert int(str(read)) >= 102


def test_recent_activity_is_seen_in_redis_once_however_often_it_is_read(
    pipeline: Settings, producer: EventProducer
) -> None:
    redis = open_redis(pipeline.require("redis_url"))
    redis.flushdb()
    send_history(producer, 50)
    follow(pipeline, threading.Event(), drain=True)
    with connect(pipeline.require("dsn_loader")) as connection:
        connection.execute("DELETE FROM app.consumer_offset")
    follow(pipeline, threading.Event(), drain=True)
    figures = read_figures(redis)
    redis.close()
    assert figures == {"active_users": 1, "check_ins_per_minute": 10.0, "consumer_lag": {"okr-state": 0}}


def test_the_consumer_goes_on_without_redis(pipeline: Settings, producer: EventProducer) -> None:
    from pydantic import SecretStr

    send_history(producer, 10)
    alone = pipeline.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1/0")})
    assert follow(alone, threading.Event(), drain=True) == 11
