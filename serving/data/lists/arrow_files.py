"""Parquet files and Arrow streams, written batch by batch in bounded memory."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from serving.data.lists.listing import Listing, kind_of
from serving.publication_reader import Row

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP_BATCHES = 10  # per row group of a Parquet file


class ByteSink:
    """A write-only file in memory. `take` returns what has been written since the last call."""

    closed = False

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def write(self, data: Any) -> int:
        """Store bytes."""
        self._written.append(bytes(data))
        return len(self._written[-1])

    def flush(self) -> None:
        """Do nothing, because nothing is buffered elsewhere."""

    def close(self) -> None:
        """Do nothing, because the last bytes have yet to be taken."""

    def take(self) -> bytes:
        """Return the bytes and remove them from the sink."""
        written, self._written = self._written, []
        return b"".join(written)


def schema_of(listing: Listing, fields: Sequence[str], metadata: Mapping[str, str]) -> "pa.Schema":
    """Return the Arrow schema of a list's rows."""
    import pyarrow as pa

    types: dict[type, pa.DataType] = {
        str: pa.string(),
        bool: pa.bool_(),
        int: pa.int64(),
        float: pa.float64(),
        date: pa.date32(),
        datetime: pa.timestamp("us", tz="UTC"),
    }
    return pa.schema([pa.field(name, types[kind_of(listing.row, name)]) for name in fields], dict(metadata))


def arrow_chunks(schema: "pa.Schema", batches: Iterable[list[Row]]) -> Iterator[bytes]:
    """Yield an Arrow IPC stream: the schema, then one record batch for each batch."""
    import pyarrow as pa

    sink = ByteSink()
    with closing(pa.ipc.new_stream(pa.PythonFile(sink, "w"), schema)) as writer:
        yield sink.take()
        for batch in batches:
            writer.write_batch(pa.RecordBatch.from_pylist(batch, schema))
            yield sink.take()
    yield sink.take()


def parquet_chunks(schema: "pa.Schema", batches: Iterable[list[Row]]) -> Iterator[bytes]:
    """Yield a Parquet file row group by row group; the footer comes last."""
    import pyarrow as pa
    from pyarrow import parquet

    sink = ByteSink()
    with closing(parquet.ParquetWriter(pa.PythonFile(sink, "w"), schema, compression="zstd")) as writer:
        group: list[pa.RecordBatch] = []
        for batch in batches:
            group.append(pa.RecordBatch.from_pylist(batch, schema))
            if len(group) == ROW_GROUP_BATCHES:
                writer.write_table(pa.Table.from_batches(group, schema))
                group.clear()
                yield sink.take()
        if group:
            writer.write_table(pa.Table.from_batches(group, schema))
    yield sink.take()
