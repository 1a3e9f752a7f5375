"""One message in a hundred is poison: it is kept whole with its reason, and nobody stops for it."""

import base64
import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl
import psycopg
import pytest

from ingestion.decoding.prevalidation import UNREADABLE_HEADERS
from ingestion.event_codec import encode
from ingestion.landing.consumer import land
from ingestion.loading import load
from ingestion.producer import EventProducer
from ingestion.state.consumer import consume_state
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.ids import uuid7
from lakehouse.lake import open_table, table_uri
from lakehouse.settings import Settings
from tests.faults.lake import TOPIC, Events
from tests.faults.proof import prove
from tests.faults.raw_headers import send_with_header
from tests.faults.topics import Topics

KEY = b"k1"
LARGEST = 6_000_000
HEADERS = [("trace", b"\x00\xff"), ("empty", b""), ("trace", b"again")]


@dataclass(frozen=True)
class Poison:
    """A message that breaks its contract, and the reason that the lake must give."""

    reason: str
    value: bytes | None
    key: bytes | None = KEY
    topic: str = TOPIC


def event(data: str, **frame: object) -> bytes:
    """A whole event whose `data` is this text, with other parts of its frame where given."""
    parts = {
        "specversion": "1.0",
        "id": str(uuid7()),
        "source": "test",
        "type": "okr.check_in.recorded.v1",
        "subject": "k1",
        "time": (datetime.now(UTC) - timedelta(hours=1)).isoformat(),
    }
    head = json.dumps(parts | frame)
    return f'{head[:-1]}, "data": {data}}}'.encode()


def check_in_data(**fields: str) -> str:
    """The `data` of a good check-in with these fields as JSON text."""
    parts = {"check_in_id": '"c"', "key_result_id": '"k1"', "value": "1"} | fields
    return "{" + ", ".join(f'"{name}": {text}' for name, text in parts.items()) + "}"


def poisons() -> Mapping[str, Poison]:
    """Every kind of bad message, by name."""
    good = event(check_in_data())
    return {
        "not JSON": Poison("not_json", b"hello"),
        "empty": Poison("not_json", b""),
        "null value": Poison("null_value", None),
        "null value and key": Poison("null_value", None, key=None),
        "truncated": Poison("not_json", good[: len(good) // 2]),
        "truncated in its last byte": Poison("not_json", good[:-1]),
        "two documents": Poison("not_json", good + good),
        "bad UTF-8": Poison("not_utf8", good.replace(b'"c"', b'"\xc3\x28"')),
        "an encoded surrogate": Poison("not_utf8", good.replace(b'"c"', b'"\xed\xa0\x80"')),
        "UTF-16": Poison("not_utf8", good.decode().encode("utf-16")),
        "a list": Poison("bad_envelope", b"[1, 2]"),
        "a number": Poison("bad_envelope", b"17"),
        "null": Poison("bad_envelope", b"null"),
        "no frame": Poison("bad_envelope", check_in_data().encode()),
        "an id that is no UUID": Poison("bad_envelope", event(check_in_data(), id="17")),
        "an empty source": Poison("bad_envelope", event(check_in_data(), source="")),
        "a time without a zone": Poison("bad_envelope", event(check_in_data(), time="2026-01-01T00:00:00")),
        "unknown type": Poison("unknown_type", event(check_in_data(), type="okr.nobody.knows.v1")),
        "a later version": Poison("unknown_type", event(check_in_data(), type="okr.check_in.recorded.v9")),
        "wrong topic": Poison("wrong_topic", good, topic="okr_system_metrics"),
        "wrong subject": Poison("subject_mismatch", event(check_in_data(), subject="k2")),
        "wrong key": Poison("key_mismatch", good, key=b"k2"),
        "a key of odd bytes": Poison("key_mismatch", good, key=b"\xff\x00"),
        "text for a number": Poison("bad_data", event(check_in_data(value='"17"'))),
        "a missing field": Poison("bad_data", event('{"check_in_id": "c", "key_result_id": "k1"}')),
        "null for a number": Poison("bad_data", event(check_in_data(value="null"))),
        "data that is a list": Poison("bad_data", event("[1]")),
        "a ratio of 1.5": Poison("bad_data", event(check_in_data(confidence="1.5"))),
        "NaN": Poison("not_json", event(check_in_data(value="NaN"))),
        "Infinity": Poison("not_json", event(check_in_data(value="-Infinity"))),
        "1e999": Poison("number_out_of_range", event(check_in_data(value="1e999"))),
        "1e-999 in an unknown field": Poison("number_out_of_range", event(check_in_data(more="1e-999"))),
        "1e400 in an unknown field": Poison("number_out_of_range", event(check_in_data(more="[1e400]"))),
        "a whole number of 2,000 digits": Poison("number_out_of_range", event(check_in_data(more="9" * 2000))),
        "10,000 levels": Poison("too_deep", event(check_in_data(more="[" * 10_000 + "]" * 10_000))),
        "100 levels of objects": Poison("too_deep", event(check_in_data(more='{"a":' * 100 + "1" + "}" * 100))),
        "10,000 levels never closed": Poison("too_deep|not_json", b"[" * 10_000),
        "NUL in a text": Poison("nul_character", event(check_in_data(note='"a\\u0000b"'))),
        "half of a surrogate pair": Poison("lone_surrogate", event(check_in_data(note='"\\ud800"'))),
        "from the future": Poison("time_in_future", event(check_in_data(), time="2099-01-01T00:00:00Z")),
        "from before 1970": Poison("time_out_of_range", event(check_in_data(), time="1969-12-31T23:59:59Z")),
        "two subjects, the last one wrong": Poison(
            "subject_mismatch", good.replace(b'"subject": "k1"', b'"subject": "k1", "subject": "k2"')
        ),
        "two values, the last one wrong": Poison("bad_data", good.replace(b'"value": 1', b'"value": 1, "value": "1"')),
        "2 MB": Poison("too_large", event(check_in_data(more=f'"{"x" * 2_000_000}"'))),
        "5 MB": Poison("too_large", event(check_in_data(more=f'"{"x" * 5_000_000}"'))),
        "5 MB of odd bytes": Poison("too_large", bytes(range(256)) * 19_600),
    }


# What looks odd and is good: it must be loaded.
def oddities() -> Mapping[str, bytes]:
    """Events that keep their contract, odd as they are, by name."""
    return {
        "unknown fields": event(check_in_data(more='{"deep": [1, {"er": null}]}')),
        "a whole number beyond 64 bits": event(check_in_data(more="123456789012345678901234567890")),
        "a value of 1e300 in an unknown field": event(check_in_data(more="1e300")),
        "60 levels in an unknown field": event(check_in_data(more="[" * 60 + "]" * 60)),
        "escapes and emoji": event(check_in_data(note='"\\u00e9\\ud83d\\ude00 \\"quoted\\" 😀 \\\\ \\n"')),
        "spaces and lines": b" \n" + event(check_in_data()) + b"\r\n\t ",
        "almost 1 MB": event(check_in_data(more=f'"{"x" * 990_000}"')),
        # Of two keys of one name the last one counts: for the contract, in the lake, in jsonb, in the state alike.
        "two subjects, the first one wrong": event(check_in_data()).replace(
            b'"subject": "k1"', b'"subject": "k2", "subject": "k1"'
        ),
        "two values": event(check_in_data()).replace(b'"value": 1', b'"value": 2, "value": 1'),
        "two payloads": event(check_in_data()).replace(b'"data": {', b'"data": {"check_in_id": 1}, "data": {'),
    }


@contextmanager
def large_messages(settings: Settings) -> Iterator[None]:
    """Let the topics take messages of 6 MB, and no longer afterwards."""
    topics = Topics(settings.kafka_bootstrap)
    for limit in (LARGEST, None):
        if limit is None:
            yield
        for topic in (TOPIC, "okr_system_metrics"):
            topics.configure(topic, **{"max.message.bytes": str(limit or 1_048_588)})


def send_poison(settings: Settings, messages: Mapping[str, Poison]) -> Mapping[tuple[str, int, int], str]:
    """Send each with headers; return their names by place."""
    from confluent_kafka import Message, Producer

    producer = Producer(
        {"bootstrap.servers": settings.kafka_bootstrap, "message.max.bytes": LARGEST, "enable.idempotence": True}
    )
    places: dict[tuple[str, int, int], str] = {}

    def told(name: str, error: object, message: Message) -> None:
        assert error is None, f"{name}: {error}"
        places[(message.topic() or "", message.partition() or 0, message.offset() or 0)] = name

    for name, poison in messages.items():
        producer.produce(
            poison.topic, poison.value, poison.key, headers=HEADERS,
            on_delivery=lambda error, message, name=name: told(name, error, message),
        )  # fmt: skip
    assert producer.flush(60) == 0
    return places


def rejected_rows(settings: Settings) -> Mapping[tuple[str, int, int], Mapping[str, object]]:
    """Every rejected row by its place."""
    found: dict[tuple[str, int, int], Mapping[str, object]] = {}
    for topic in (TOPIC, "okr_system_metrics"):
        rows = pl.scan_delta(open_table(table_uri(settings.lake_uri, topic)))
        for row in rows.filter(pl.col("rejection_reason").is_not_null()).collect().iter_rows(named=True):
            found[(topic, row["kafka_partition"], row["kafka_offset"])] = row
    return found


@pytest.mark.parametrize("good", [5_000, pytest.param(200_000, marks=[pytest.mark.chaos, pytest.mark.timeout(1800)])])
def test_one_percent_of_poison_is_kept_whole_and_every_good_event_is_loaded(
    good: int, pipeline: Settings, producer: EventProducer, check_in: Events
) -> None:
    bad, odd = poisons(), oddities()
    places: dict[tuple[str, int, int], str] = {}
    portions = max(1, good // (100 * len(bad)))  # of which each holds every kind once
    with large_messages(pipeline):
        for portion in range(portions):
            for number in range(good * portion // portions, good * (portion + 1) // portions):
                producer.send(check_in(number))
            places |= send_poison(pipeline, bad)
        for value in odd.values():
            producer.send_raw(TOPIC, KEY, value)
        producer.flush()
        land(pipeline, threading.Event(), drain=True)
        consume_state(pipeline, threading.Event(), drain=True)
    assert load(pipeline)[TOPIC] == good + len(odd)
    with psycopg.connect(pipeline.require("dsn_loader")) as connection:
        values = connection.execute(
            "SELECT DISTINCT data ->> 'value' FROM raw.okr_user_events WHERE data ->> 'check_in_id' = 'c'"
        ).fetchall()
    assert values == [("1",)]
    rows = rejected_rows(pipeline)
    names = {place: places.get(place, "a good event") for place in rows}
    assert Counter(names.values()) == Counter(dict.fromkeys(bad, portions))
    for place, row in rows.items():
        poison = bad[names[place]]
        assert row["rejection_reason"] in poison.reason.split("|"), names[place]
        assert (row["rejected_value"], row["rejected_key"]) == (poison.value, poison.key), names[place]
        headers = [(name, base64.b64decode(text)) for name, text in json.loads(str(row["rejected_headers"]))]
        assert headers == HEADERS, names[place]
    prove(pipeline, fault=f"1 % poison of {len(bad)} kinds among {good:,} events", sent=good + len(odd) + len(places))


def test_the_state_consumer_goes_on_past_poison(pipeline: Settings, producer: EventProducer, check_in: Events) -> None:
    """What comes behind the bad messages is applied, and what the consumer applied is what the lake calls good."""
    with large_messages(pipeline):
        for number in range(100):
            producer.send(check_in(number))
        producer.flush()
        send_poison(pipeline, poisons())
        last = CheckInRecorded(check_in_id="last", key_result_id="k1", value=4711.0)
        producer.send(encode(last, at=datetime.now(UTC), source="test"))
        producer.flush()
        assert consume_state(pipeline, threading.Event(), drain=True) == 101
        land(pipeline, threading.Event(), drain=True)
    with psycopg.connect(pipeline.require("dsn_loader")) as connection:
        offsets = connection.execute("SELECT sum(next_offset) FROM app.consumer_offset").fetchone()
    assert offsets is not None
    assert int(offsets[0]) == Topics(pipeline.kafka_bootstrap).end_offsets(TOPIC)
    prove(pipeline, fault="the state consumer reads past every kind of poison", sent=101 + len(poisons()))


def test_headers_that_the_client_cannot_read_stop_nobody(
    pipeline: Settings, producer: EventProducer, check_in: Events
) -> None:
    """Names in Latin-1, say: the good event is landed and applied, the bad message is kept without its headers."""
    for number in range(50):
        producer.send(check_in(number))
    producer.flush()
    last = CheckInRecorded(check_in_id="last", key_result_id="k1", value=4711.0)
    good = encode(last, at=datetime.now(UTC), source="test")
    for value in (good.value, b"no event"):
        send_with_header(pipeline.kafka_bootstrap, TOPIC, value, good.key, b"\xff\xfe")
    land(pipeline, threading.Event(), drain=True)
    assert consume_state(pipeline, threading.Event(), drain=True) == 51
    assert load(pipeline)[TOPIC] == 51
    (row,) = rejected_rows(pipeline).values()
    assert (row["rejected_value"], row["rejected_headers"]) == (b"no event", UNREADABLE_HEADERS)
    prove(pipeline, fault="headers whose names are not UTF-8", sent=52)
