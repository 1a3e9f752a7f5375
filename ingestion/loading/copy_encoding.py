"""Encode rows of the lake for PostgreSQL's binary COPY, in a thread that works ahead while PostgreSQL writes."""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from lakehouse.lake import EVENT_COLUMNS, landing_schema

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

T = TypeVar("T")

BATCHES_AHEAD = 3  # batches encoded in advance (at most 20 MB), so that PostgreSQL never waits for the lake
JSON_COLUMNS = ("data", "extensions")
UUID_CHARACTERS = 36


class Encoder:
    """Encodes batches of EVENT_COLUMNS for `COPY raw.<topic> (<EVENT_COLUMNS>) FROM STDIN WITH (FORMAT binary)`."""

    def __init__(self) -> None:
        import pyarrow as pa
        from pgpq import ArrowToPostgresBinaryEncoder
        from pgpq.encoders import StringEncoderBuilder
        from pgpq.schema import Jsonb

        fields = [landing_schema().field(name) for name in EVENT_COLUMNS]
        # The binary format of a UUID is its 16 bytes.
        fields[EVENT_COLUMNS.index("event_id")] = pa.field("event_id", pa.binary(16))
        self._schema = pa.schema(fields)
        builders = {field.name: ArrowToPostgresBinaryEncoder.infer_encoder(field) for field in self._schema}
        for name in JSON_COLUMNS:
            builders[name] = StringEncoderBuilder.new_with_output(self._schema.field(name), Jsonb())
        self._encoder: Any = ArrowToPostgresBinaryEncoder.new_with_encoders(self._schema, builders)

    def header(self) -> bytes:
        """Return the header of the stream."""
        return bytes(self._encoder.write_header())

    def rows(self, batch: "pa.RecordBatch") -> bytes:
        """Return the bytes of a batch of valid rows."""
        import pyarrow as pa

        columns = {name: batch[name] for name in EVENT_COLUMNS}
        columns["event_id"] = uuid_bytes(columns["event_id"])
        encoded: bytes = self._encoder.write_batch(pa.record_batch(list(columns.values()), schema=self._schema))
        return encoded

    def end(self) -> bytes:
        """Return the trailer of the stream."""
        return bytes(self._encoder.finish())


def uuid_bytes(texts: "pa.Array") -> "pa.FixedSizeBinaryArray":
    """Convert UUIDs from text (no nulls) to 16 bytes each."""
    import numpy as np
    import pyarrow as pa

    _, offsets, characters = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1] if len(texts) else [0]
    # If all UUIDs have the canonical form, decoding them together takes a tenth of the time.
    if (np.diff(ends) == UUID_CHARACTERS).all():
        digits = np.frombuffer(characters, np.uint8)[ends[0] : ends[-1]].reshape(-1, UUID_CHARACTERS)
        values = _nibbles()[digits[:, _digit_positions()]]
        packed = (values[:, ::2] << 4 | values[:, 1::2]).tobytes()
    else:
        packed = b"".join(UUID(text).bytes for text in texts.to_pylist())
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(texts), [None, pa.py_buffer(packed)])


def _nibbles() -> "np.ndarray":
    """Return an array that maps a hexadecimal digit's character code to its value."""
    import numpy as np

    values = np.zeros(256, np.uint8)
    for digits in (b"0123456789abcdef", b"0123456789ABCDEF"):
        values[list(digits)] = range(16)
    return values


def _digit_positions() -> list[int]:
    return [position for position in range(UUID_CHARACTERS) if position not in (8, 13, 18, 23)]


def read_ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """Yield the items of an iterator that runs in a thread, at most `BATCHES_AHEAD` items in advance.

    Raises:
        Exception: the error that the iterator raised.
    """
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as thread:
        upcoming = deque(thread.submit(next, items, end) for _ in range(BATCHES_AHEAD))
        try:
            while (item := upcoming.popleft().result()) is not end:
                upcoming.append(thread.submit(next, items, end))
                yield cast(T, item)
        finally:
            for each in upcoming:
                each.cancel()
