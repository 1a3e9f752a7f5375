"""Determine the status of an event of this API: accepted, landed, loaded, published, quarantined or rejected."""

import threading
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from ingestion.consumer_groups import landing_group
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.logs import get_logger
from lakehouse.settings import Settings
from serving.auth.roles import Identity, Role
from serving.errors import NotFound
from serving.publication_reader import Row
from serving.warehouses import Warehouses
from serving.writes.store import WriteStore

TOPIC = "okr_user_events"
BROKER_S = 2.0
CACHED_S = 1.0


class LandedOffsets:
    """The offsets up to which a topic has landed, as the landing workers report them to Kafka after each commit.

    They may lag behind the lake, but are never ahead of it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._consumer: Any = None
        self._offsets: dict[int, int] = {}
        self._read_at = float("-inf")

    def next_offset(self, partition: int) -> int:
        """Return the next offset to land; 0 if it is not known, for example while the broker is unavailable."""
        with self._lock:
            if partition not in self._offsets or time.monotonic() > self._read_at + CACHED_S:
                self._read(partition)
            return self._offsets.get(partition, 0)

    def _read(self, partition: int) -> None:
        from confluent_kafka import Consumer, KafkaException, TopicPartition

        if not self._settings.lake_uri or not self._settings.kafka_bootstrap:
            return
        if self._consumer is None:
            self._consumer = Consumer(
                {
                    **KafkaConnection.of(self._settings).client_settings(),
                    "group.id": landing_group(self._settings),
                    "enable.auto.commit": False,
                }
            )
        try:
            (committed,) = self._consumer.committed([TopicPartition(TOPIC, partition)], timeout=BROKER_S)
        except KafkaException as error:
            get_logger(__name__).warning("landed offsets cannot be read", error=str(error))
            return
        self._offsets[partition] = max(committed.offset, 0)
        self._read_at = time.monotonic()

    def close(self) -> None:
        """Close the connection to the broker."""
        with self._lock:
            if self._consumer is not None:
                self._consumer.close()
                self._consumer = None


@dataclass(frozen=True)
class Progress:
    """The status of an event, and the reason if it is quarantined or rejected. `row` comes from event_status.sql."""

    status: str
    reason: str | None
    row: Row


class EventProgress:
    """Looks up events."""

    def __init__(self, warehouses: Warehouses, landed: LandedOffsets) -> None:
        self._warehouses = warehouses
        self._landed = landed

    def of(self, event_id: UUID, identity: Identity) -> Progress:
        """Return the status of an event. Accounts see only their own events; administrators see all.

        Raises:
            NotFound: this API did not write the event, or another account did.
        """
        row = WriteStore(self._warehouses.of(identity.organisation_id)).event_status(event_id)
        is_visible = row is not None and (identity.username == row["username"] or _administers(identity))
        if row is None or not is_visible:
            raise NotFound(f"There is no event {event_id} that your account wrote in the last 90 days.")
        status, reason = self._status(row)
        return Progress(status, reason, row)

    def close(self) -> None:
        """Close the connection to the broker."""
        self._landed.close()

    def _status(self, row: Row) -> tuple[str, str | None]:
        if row["rejected_because"] is not None:
            return "rejected", row["rejected_because"]
        if row["withheld_because"] is not None:
            return "quarantined", row["withheld_because"]
        if row["publication_id"] is not None:
            return "published", None
        if row["is_loaded"]:
            return "loaded", None
        if row["kafka_offset"] is not None and self._landed.next_offset(row["kafka_partition"]) > row["kafka_offset"]:
            return "landed", None
        return "accepted", None


def _administers(identity: Identity) -> bool:
    return identity.role is Role.ADMIN and identity.organisation_id is None
