"""Lists, which are read page by page while they are iterated. Nothing is requested before that."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, get_type_hints

import msgspec

from okr_client.calls import Call, warn_if_deprecated
from okr_client.exchange import Steps, exchange
from okr_client.retries import Retries
from okr_client.transports import AsyncTransport, Transport

Page = TypeVar("Page", bound=msgspec.Struct)
Row = TypeVar("Row")
ExportFormat = Literal["parquet", "arrow", "csv"]
MEDIA_TYPES = {
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
    "csv": "text/csv",
}
SUFFIXES: dict[str, ExportFormat] = {".parquet": "parquet", ".arrow": "arrow", ".arrows": "arrow", ".csv": "csv"}


class Listing(Generic[Page, Row]):
    """A list. Iterating it yields its rows; `pages()` yields pages."""

    def __init__(self, transport: Transport, call: Call[Page], rows: str) -> None:
        self._transport = transport
        self._call = call
        self._rows = rows

    def __iter__(self) -> Iterator[Row]:
        """Yield all rows.

        Raises:
            CursorExpired: the list is not in its default order, and was published again. Start again.
        """
        for page in self.pages():
            yield from getattr(page, self._rows)

    def pages(self) -> Iterator[Page]:
        """Yield pages, which also say from which publication they were read."""
        call: Call[Page] | None = self._call
        while call is not None:
            page = self._transport.call(call)
            yield page
            call = _next_page(self._call, page)


class DataListing(Listing[Page, Row]):
    """A list of published data, which also returns single fields and exports."""

    def select(self, *fields: str) -> Iterator[dict[str, Any]]:
        """Yield all rows with only these fields, as dictionaries of JSON values."""
        sparse = _sparse(self._call, self._rows, fields)
        for page in Listing[Any, dict[str, Any]](self._transport, sparse, self._rows).pages():
            yield from getattr(page, self._rows)

    def export(
        self, path: str | os.PathLike[str], file_format: ExportFormat | None = None, fields: tuple[str, ...] = ()
    ) -> int:
        """Write all rows to a file and return the publication from which they were read.

        The format is chosen by the file's suffix (.parquet, .arrow, .csv). The rows are streamed to the file, which
        appears only when it is complete.
        """
        return self._transport.run(_export(self._call, self._transport.retries, Path(path), file_format, fields))


class AsyncListing(Generic[Page, Row]):
    """A list. Iterating it with `async for` yields its rows; `pages()` yields pages."""

    def __init__(self, transport: AsyncTransport, call: Call[Page], rows: str) -> None:
        self._transport = transport
        self._call = call
        self._rows = rows

    async def __aiter__(self) -> AsyncIterator[Row]:
        """Yield all rows.

        Raises:
            CursorExpired: the list is not in its default order, and was published again. Start again.
        """
        async for page in self.pages():
            for row in getattr(page, self._rows):
                yield row

    async def pages(self) -> AsyncIterator[Page]:
        """Yield pages, which also say from which publication they were read."""
        call: Call[Page] | None = self._call
        while call is not None:
            page = await self._transport.call(call)
            yield page
            call = _next_page(self._call, page)


class AsyncDataListing(AsyncListing[Page, Row]):
    """A list of published data, which also returns single fields and exports."""

    async def select(self, *fields: str) -> AsyncIterator[dict[str, Any]]:
        """Yield all rows with only these fields, as dictionaries of JSON values."""
        sparse = _sparse(self._call, self._rows, fields)
        async for page in AsyncListing[Any, dict[str, Any]](self._transport, sparse, self._rows).pages():
            for row in getattr(page, self._rows):
                yield row

    async def export(
        self,
        path: str | os.PathLike[str],
        file_format: ExportFormat | None = None,
        fields: tuple[str, ...] = (),
    ) -> int:
        """Write all rows to a file and return the publication from which they were read.

        The format is chosen by the file's suffix (.parquet, .arrow, .csv). The rows are streamed to the file, which
        appears only when it is complete.
        """
        return await self._transport.run(_export(self._call, self._transport.retries, Path(path), file_format, fields))


def _next_page(call: Call[Page], page: Page) -> Call[Page] | None:
    cursor = getattr(page, "next_cursor", None)
    return None if cursor is None else call.changed(returns=call.returns, cursor=cursor)


def _sparse(call: Call[Any], rows: str, fields: tuple[str, ...]) -> Call[Any]:
    hints: dict[str, Any] = get_type_hints(call.returns) | {rows: list[dict[str, Any]]}
    page = msgspec.defstruct("Page", list(hints.items()), kw_only=True)
    return call.changed(returns=page, fields=",".join(fields) or None)


def _export(
    call: Call[Any], retries: Retries, path: Path, wanted: ExportFormat | None, fields: tuple[str, ...]
) -> Steps[int]:
    chosen = wanted or SUFFIXES.get(path.suffix.lower())
    if chosen is None:
        raise ValueError(f"Expected a file name that ends with one of {', '.join(SUFFIXES)}, or a format; got {path}.")
    export = call.changed(
        returns=bytes, headers={"Accept": MEDIA_TYPES[chosen]}, fields=",".join(fields) or None, limit=None
    )
    incomplete = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        response = yield from exchange(export, retries, incomplete)
        warn_if_deprecated(response)
        incomplete.replace(path)
    finally:
        incomplete.unlink(missing_ok=True)
    return int(response.headers["okr-publication-id"])
