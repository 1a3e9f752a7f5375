"""The simulated organisation of the demo, n times as large, copied directly into `raw` as the loader would do."""

import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson

from ingestion.contract_validation import EncodedEvent
from ingestion.loading.direct import COLUMNS, copy_into_raw
from ingestion.sources.simulator import SCALES, messages, organisation
from ingestion.sources.simulator.messages import MessageKind
from lakehouse.contracts import TOPICS
from lakehouse.settings import Settings
from lakehouse.warehouse import connect

AS_OF = datetime(2026, 11, 28, 12, tzinfo=UTC)
PARTITIONS = 4


def fill(settings: Settings, times: int, as_of: datetime = AS_OF) -> dict[str, int]:
    """Copy all valid messages of an organisation `times` as large into the empty `raw`; return the rows by topic."""
    rows: dict[str, list[tuple[object, ...]]] = {topic: [] for topic in TOPICS}
    places: dict[tuple[str, int], int] = {}
    for event in _events(times, as_of):
        partition = zlib.crc32(event.key) % PARTITIONS
        offset = places.get((event.topic, partition), 0)
        places[event.topic, partition] = offset + 1
        rows[event.topic].append(_row(event, partition, offset))
    for topic, lines in rows.items():
        copy_into_raw(settings, topic, lines)
    with connect(settings.require("dsn_loader"), application="bench") as connection, connection.cursor() as cursor:
        for topic in rows:
            cursor.execute(f"ANALYZE raw.{topic}")  # as the loader does
        cursor.executemany(
            "INSERT INTO raw.load_watermark (topic, kafka_partition, next_offset) VALUES (%s, %s, %s)",
            [(topic, partition, offset) for (topic, partition), offset in places.items()],
        )
    return {topic: len(lines) for topic, lines in rows.items()}


def _events(times: int, as_of: datetime) -> Iterator[EncodedEvent]:
    default = SCALES["default"]
    scale = replace(default, name=f"default-{times}", teams=default.teams * times, users=default.users * times)
    for message in messages(organisation(1, scale), as_of):
        if message.kind is not MessageKind.MALFORMED:
            yield message.event


def _row(event: EncodedEvent, partition: int, offset: int) -> tuple[object, ...]:
    frame = orjson.loads(event.value)
    recorded_at = datetime.fromisoformat(frame["recordedtime"])
    values = {
        "kafka_partition": partition,
        "kafka_offset": offset,
        "logged_at": recorded_at + timedelta(milliseconds=300),
        "event_id": frame["id"],
        "event_type": frame["type"],
        "source": frame["source"],
        "subject": frame["subject"],
        "occurred_at": frame["time"],
        "recorded_at": recorded_at,
        "recorded_at_assumed": False,
        "data": orjson.dumps(frame["data"]).decode(),
    }
    return tuple(values[name] for name in COLUMNS)
