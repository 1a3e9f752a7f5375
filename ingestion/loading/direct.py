"""Copy events straight into raw, without a broker and a lake, for temporary databases: duplicates are not detected."""

from collections.abc import Iterable

from psycopg import sql

from ingestion.contract_validation import DecodedEvent
from lakehouse.contracts import TOPICS, contracts
from lakehouse.lake import EVENT_COLUMNS
from lakehouse.settings import Settings
from lakehouse.warehouse import connect

COLUMNS = tuple(name for name in EVENT_COLUMNS if name != "extensions")


def copy_events(settings: Settings, events: Iterable[DecodedEvent]) -> None:
    """Append events to raw in their order, all in partition 0, logged when they were recorded."""
    topics = {name: contract.topic for name, contract in contracts().items()}
    rows: dict[str, list[tuple[object, ...]]] = {topic: [] for topic in TOPICS}
    for event in events:
        frame = event.envelope
        at = frame.recordedtime or frame.time
        of_topic = rows[topics[frame.type]]
        of_topic.append((0, len(of_topic), at, frame.id, frame.type, frame.source, frame.subject, frame.time, at,
                         frame.recordedassumed, event.data))  # fmt: skip
    for topic in TOPICS:
        copy_into_raw(settings, topic, rows[topic])


def copy_into_raw(settings: Settings, topic: str, rows: Iterable[tuple[object, ...]]) -> None:
    """Append rows to raw.<topic>, in the order of COLUMNS."""
    names = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier("raw", topic), names)
    with (
        connect(settings.require("dsn_loader")) as connection,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        for row in rows:
            copy.write_row(row)
