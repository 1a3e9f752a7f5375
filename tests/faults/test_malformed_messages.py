"""One message in a hundred is malformed: it is stored verbatim with its reason, and no consumer stops."""

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

from ingestion.contract_validation import encode
from ingestion.decoding.parsing import UNREADABLE_HEADERS
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
class Malformed:
    """A message that violates its contract, and the expected reason in the lake."""

    reason: str
    value: bytes | None
    key: bytes | None = KEY
    topic: str = TOPIC


def event(data: str, **frame: object) -> bytes:
    """Return an event with this text as `data`, and optionally other envelope attributes."""
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
    """Return the `data` of a valid check-in with these fields as JSON text."""
    parts = {"check_in_id": '"c"', "key_result_id": '"k1"', "value": "1"} | fields
    return "{" + ", ".join(f'"{name}": {text}' for name, text in parts.items()) + "}"


def malformed_messages() -> Mapping[str, Malformed]:
    """Return every kind of malformed message, by name."""
    good = event(check_in_data())
    return {
        "not JSON": Malformed("not_json", b"hello"),
        "empty": Malformed("not_json", b""),
        "null value": Malformed("null_value", None),
        "null value and key": Malformed("null_value", None, key=None),
        "truncated": Malformed("not_json", good[: len(good) // 2]),
        "without its last byte": Malformed("not_json", good[:-1]),
        "two documents": Malformed("not_json", good + good),
        "bad UTF-8": Malformed("not_utf8", good.replace(b'"c"', b'"\xc3\x28"')),
        "an encoded surrogate": Malformed("not_utf8", good.replace(b'"c"', b'"\xed\xa0\x80"')),
        "UTF-16": Malformed("not_utf8", good.decode().encode("utf-16")),
        "a list": Malformed("bad_envelope", b"[1, 2]"),
        "a number": Malformed("bad_envelope", b"17"),
        "null": Malformed("bad_envelope", b"null"),
        "no frame": Malformed("bad_envelope", check_in_data().encode()),
        "an id that is not a UUID": Malformed("bad_envelope", event(check_in_data(), id="17")),
        "an empty source": Malformed("bad_envelope", event(check_in_data(), source="")),
        "a time without a zone": Malformed("bad_envelope", event(check_in_data(), time="2026-01-01T00:00:00")),
        "unknown type": Malformed("unknown_type", event(check_in_data(), type="okr.nobody.knows.v1")),
        "a later version": Malformed("unknown_type", event(check_in_data(), type="okr.check_in.recorded.v9")),
        "wrong topic": Malformed("wrong_topic", good, topic="okr_system_metrics"),
        "wrong subject": Malformed("subject_mismatch", event(check_in_data(), subject="k2")),
        "wrong key": Malformed("key_mismatch", good, key=b"k2"),
        "a key of random bytes": Malformed("key_mismatch", good, key=b"\xff\x00"),
        "text for a number": Malformed("bad_data", event(check_in_data(value='"17"'))),
        "a missing field": Malformed("bad_data", event('{"check_in_id": "c", "key_result_id": "k1"}')),
        "null for a number": Malformed("bad_data", event(check_in_data(value="null"))),
        "data that is a list": Malformed("bad_data", event("[1]")),
        "a ratio of 1.5": Malformed("bad_data", event(check_in_data(confidence="1.5"))),
        "NaN": Malformed("not_json", event(check_in_data(value="NaN"))),
        "Infinity": Malformed("not_json", event(check_in_data(value="-Infinity"))),
        "1e999": Malformed("number_out_of_range", event(check_in_data(value="1e999"))),
        "1e-999 in an unknown field": Malformed("number_out_of_range", event(check_in_data(more="1e-999"))),
        "1e400 in an unknown field": Malformed("number_out_of_range", event(check_in_data(more="[1e400]"))),
        "a whole number of 2,000 digits": Malformed("number_out_of_range", event(check_in_data(more="9" * 2000))),
        "10,000 levels": Malformed("too_deep", event(check_in_data(more="[" * 10_000 + "]" * 10_000))),
        "100 levels of objects": Malformed("too_deep", event(check_in_data(more='{"a":' * 100 + "1" + "}" * 100))),
        "10,000 levels never closed": Malformed("too_deep|not_json", b"[" * 10_000),
        "NUL in a text": Malformed("nul_character", event(check_in_data(note='"a\\u0000b"'))),
        "a lone surrogate": Malformed("lone_surrogate", event(check_in_data(note='"\\ud800"'))),
        "from the future": Malformed("time_in_future", event(check_in_data(), time="2099-01-01T00:00:00Z")),
        "from before 1970": Malformed("time_out_of_range", event(check_in_data(), time="1969-12-31T23:59:59Z")),
        "two subjects, the last one wrong": Malformed(
            "subject_mismatch", good.replace(b'"subject": "k1"', b'"subject": "k1", "subject": "k2"')
        ),
        "two values, the last one wrong": Malformed(
            "bad_data", good.replace(b'"value": 1', b'"value": 1, "value": "1"')
        ),
        "2 MB": Malformed("too_large", event(check_in_data(more=f'"{"x" * 2_000_000}"'))),
        "5 MB": Malformed("too_large", event(check_in_data(more=f'"{"x" * 5_000_000}"'))),
        "5 MB of random bytes": Malformed("too_large", bytes(range(256)) * 19_600),
    }


# Unusual but valid messages, which must be loaded.
def unusual_messages() -> Mapping[str, bytes]:
    """Return unusual events that satisfy their contract, by name."""
    return {
        "unknown fields": event(check_in_data(more='{"deep": [1, {"er": null}]}')),
        "a whole number beyond 64 bits": event(check_in_data(more="123456789012345678901234567890")),
        "a value of 1e300 in an unknown field": event(check_in_data(more="1e300")),
        "60 levels in an unknown field": event(check_in_data(more="[" * 60 + "]" * 60)),
        "escapes and emoji": event(check_in_data(note='"\\u00e9\\ud83d\\ude00 \\"quoted\\" 😀 \\\\ \\n"')),
        "spaces and lines": b" \n" + event(check_in_data()) + b"\r\n\t ",
        "almost 1 MB": event(check_in_data(more=f'"{"x" * 990_000}"')),
        # Of two keys of one name the last one counts, in the contract, the lake, jsonb and the state.
        "two subjects, the first one wrong": event(check_in_data()).replace(
            b'"subject": "k1"', b'"subject": "k2", "subject": "k1"'
        ),
        "two values": event(check_in_data()).replace(b'"value": 1', b'"value": 2, "value": 1'),
        "two payloads": event(check_in_data()).replace(b'"data": {', b'"data": {"check_in_id": 1}, "data": {'),
    }


@contextmanager
def large_messages(settings: Settings) -> Iterator[None]:
    """Let the topics accept messages of 6 MB during the test."""
    topics = Topics(settings.kafka_bootstrap)
    for limit in (LARGEST, None):
        if limit is None:
            yield
        for topic in (TOPIC, "okr_system_metrics"):
            topics.configure(topic, **{"max.message.bytes": str(limit or 1_048_588)})


def send_malformed(settings: Settings, messages: Mapping[str, Malformed]) -> Mapping[tuple[str, int, int], str]:
    """Send each message with headers; return their names by position."""
    from confluent_kafka import Message, Producer

    producer = Producer(
        {"bootstrap.servers": settings.kafka_bootstrap, "message.max.bytes": LARGEST, "enable.idempotence": True}
    )
    places: dict[tuple[str, int, int], str] = {}

    def on_delivery(name: str, error: object, message: Message) -> None:
        assert error is None, f"{name}: {error}"
        places[(message.topic() or "", message.partition() or 0, message.offset() or 0)] = name

    for name, message in messages.items():
        producer.produce(
            message.topic, message.value, message.key, headers=HEADERS,
            on_delivery=lambda error, message, name=name: on_delivery(name, error, message),
        )  # fmt: skip
    assert producer.flush(60) == 0
    return places


def rejected_rows(settings: Settings) -> Mapping[tuple[str, int, int], Mapping[str, object]]:
    """Return every rejected row by its position."""
    found: dict[tuple[str, int, int], Mapping[str, object]] = {}
    for topic in (TOPIC, "okr_system_metrics"):
        rows = pl.scan_delta(open_table(table_uri(settings.lake_uri, topic)))
        for row in rows.filter(pl.col("rejection_reason").is_not_null()).collect().iter_rows(named=True):
            found[(topic, row["kafka_partition"], row["kafka_offset"])] = row
    return found


@pytest.mark.parametrize("good", [5_000, pytest.param(200_000, marks=[pytest.mark.chaos, pytest.mark.timeout(1800)])])
def test_one_percent_of_malformed_messages_is_stored_verbatim_and_every_valid_event_is_loaded(
    good: int, pipeline: Settings, producer: EventProducer, check_in: Events
) -> None:
    bad, odd = malformed_messages(), unusual_messages()
    places: dict[tuple[str, int, int], str] = {}
    portions = max(1, good // (100 * len(bad)))  # each of which has every kind once
    with large_messages(pipeline):
        for portion in range(portions):
            for number in range(good * portion // portions, good * (portion + 1) // portions):
                producer.send(check_in(number))
            places |= send_malformed(pipeline, bad)
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
    names = {place: places.get(place, "a valid event") for place in rows}
    assert Counter(names.values()) == Counter(dict.fromkeys(bad, portions))
    for place, row in rows.items():
        message = bad[names[place]]
        assert row["rejection_reason"] in message.reason.split("|"), names[place]
        assert (row["rejected_value"], row["rejected_key"]) == (message.value, message.key), names[place]
        headers = [(name, base64.b64decode(text)) for name, text in json.loads(str(row["rejected_headers"]))]
        assert headers == HEADERS, names[place]
    prove(
        pipeline,
        fault=f"1 % malformed messages of {len(bad)} kinds among {good:,} events",
        sent=good + len(odd) + len(places),
    )


def test_the_state_consumer_skips_malformed_messages(
    pipeline: Settings, producer: EventProducer, check_in: Events
) -> None:
    """Events after the malformed messages are applied, and the consumer applies exactly the valid rows of the lake."""
    with large_messages(pipeline):
        for number in range(100):
            producer.send(check_in(number))
        producer.flush()
        send_malformed(pipeline, malformed_messages())
        last = CheckInRecorded(check_in_id="last", key_result_id="k1", value=4711.0)
        producer.send(encode(last, at=datetime.now(UTC), source="test"))
        producer.flush()
        assert consume_state(pipeline, threading.Event(), drain=True) == 101
        land(pipeline, threading.Event(), drain=True)
    with psycopg.connect(pipeline.require("dsn_loader")) as connection:
        offsets = connection.execute("SELECT sum(next_offset) FROM app.consumer_offset").fetchone()
    assert offsets is not None
    assert int(offsets[0]) == Topics(pipeline.kafka_bootstrap).end_offsets(TOPIC)
    prove(
        pipeline, fault="the state consumer skips every kind of malformed message", sent=101 + len(malformed_messages())
    )


def test_headers_that_the_client_cannot_read_stop_no_consumer(
    pipeline: Settings, producer: EventProducer, check_in: Events
) -> None:
    """Names in Latin-1: the valid event is landed and applied, the malformed message is stored without headers."""
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
