"""Exports: all rows of a list as CSV, Parquet or an Arrow stream, from one snapshot of one publication."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain

from lakehouse.errors import ContractViolation, RetryableError
from serving.data.lists.arrow_files import arrow_chunks, parquet_chunks, schema_of
from serving.data.lists.csv_cells import csv_chunks
from serving.data.lists.formats import Format
from serving.data.lists.service import ListRequest, Lists
from serving.publication_reader import Publication, Published, Row

MAX_CONCURRENT = 3  # each occupies one of the eight connections for as long as the client reads
MAX_PER_ACCOUNT = 2
MAX_EXPORT_S = 600.0  # from the first row to the last one


@dataclass(frozen=True)
class Export:
    """An export that has been started: `chunks` yields the file."""

    publication: Publication
    chunks: "Stream"


class Exports:
    """Starts exports and limits how many run at the same time."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists
        self._running: Counter[str] = Counter()  # by account
        self._lock = threading.Lock()

    @property
    def running(self) -> int:
        """Return how many exports are running."""
        return self._running.total()

    def start(self, request: ListRequest, wanted: Format, account: str) -> Export:
        """Start an export for an account. Its first rows have been read when this returns, so errors are raised here.

        Raises:
            ContractViolation: the request has the parameter `limit` or `cursor`, which only pages have.
            UnknownName: the publication has no team, cycle or other entity with a name in a filter.
            RetryableError: too many exports are running, or too many of the account, or the warehouse is unavailable.
        """
        if request.query.limit is not None or request.query.cursor is not None:
            raise ContractViolation(
                "no_pages", f"format={wanted} returns all rows: it cannot be combined with limit or cursor."
            )
        with ExitStack() as stack:
            stack.enter_context(self._slot(account))
            found = stack.enter_context(self._lists.all_rows(request))
            chunks = _chunks(request, wanted, found)
            first = next(chunks)
            return Export(found.publication, Stream(stack.pop_all(), first, chunks))

    @contextmanager
    def _slot(self, account: str) -> Iterator[None]:
        with self._lock:
            if self._running[account] >= MAX_PER_ACCOUNT:
                raise RetryableError(
                    f"{MAX_PER_ACCOUNT} exports of your account are running; try again when one has ended."
                )
            if self._running.total() >= MAX_CONCURRENT:
                raise RetryableError(f"{MAX_CONCURRENT} exports are running; try again when one has ended.")
            self._running[account] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running[account] -= 1
                self._running += Counter()  # without those that have none


class Stream:
    """The chunks of an export. The snapshot ends after the last chunk, or earlier if the stream is closed."""

    def __init__(self, resources: ExitStack, first: bytes, others: Iterator[bytes]) -> None:
        self._resources = resources
        self._chunks = chain([first], others)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except BaseException:
            self._resources.close()
            raise

    def close(self) -> None:
        """End the snapshot."""
        self._resources.close()

    def __del__(self) -> None:
        self.close()


def _chunks(request: ListRequest, wanted: Format, found: Published[Iterator[list[Row]]]) -> Iterator[bytes]:
    if wanted is Format.CSV:
        return csv_chunks(request.fields, found.value)
    metadata = {
        "publication_id": str(found.publication.publication_id),
        "data_as_of": found.publication.data_as_of.isoformat(),
    }
    schema = schema_of(request.listing, request.fields, metadata)
    chunks_of = parquet_chunks if wanted is Format.PARQUET else arrow_chunks
    return chunks_of(schema, found.value)
