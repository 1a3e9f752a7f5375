"""What the client does between two reads, when no broker can be made to do it at that moment."""

from collections.abc import Sequence
from typing import Any

from ingestion.batch import Limits
from ingestion.reader import PartitionReader
from lakehouse.settings import Settings
from tests.ingestion.decoding.test_decoding import Message, check_in_bytes

TOPIC = "okr_user_events"


class Read(Message):
    """A message as the client gives it."""

    def topic(self) -> str:
        return TOPIC

    def error(self) -> None:
        return None

    def __len__(self) -> int:
        return len(self.value() or b"")


class Client:
    """A client that gives one message, then serves a rebalance while it waits for the next."""

    def __init__(self, reader: PartitionReader, real: Any) -> None:
        self._reader, self._real, self._messages = reader, real, [Read(check_in_bytes(), b"k1", 6)]

    def consume(self, _size: int, timeout: float) -> Sequence[Read]:
        given, self._messages = self._messages, []
        if not given and timeout > 0:
            self._reader._on_revoke(self, [])  # type: ignore[arg-type]
        return given

    def assign(self, _partitions: object) -> None:
        pass

    def unassign(self) -> None:
        pass

    def close(self) -> None:
        self._real.close()


def test_what_was_read_before_a_rebalance_is_thrown_away(kafka: Settings) -> None:
    reader = PartitionReader(kafka.require("kafka_bootstrap"), "test-reader", [TOPIC])
    reader._stored_offsets = lambda _assigned: {}
    reader._positions = {(TOPIC, 0): 5}
    reader._consumer = Client(reader, reader._consumer)  # type: ignore[assignment]
    try:
        assert reader.poll(Limits(seconds=30, idle_seconds=0.1)).rows == 0
        assert reader._positions == {}
    finally:
        reader.close()
