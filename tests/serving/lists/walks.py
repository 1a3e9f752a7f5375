"""Walks through the pages of a list, and the rows of its exports."""

import csv
import io
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from serving.data.lists.listing import Listing, kind_of
from tests.serving.live_server import Api

Row = dict[str, Any]


def page(api: Api, headers: dict[str, str], path: str, **parameters: Any) -> dict[str, Any]:
    answer = api.client.get(path, params=parameters, headers=headers)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def walk(
    api: Api, headers: dict[str, str], listing: Listing, limit: int = 1000, most: int = 10**9, **parameters: Any
) -> list[Row]:
    """Return the rows of the pages, at least `most` of them if there are more pages."""
    rows: list[Row] = []
    cursor: dict[str, str] = {}
    while True:
        body = page(api, headers, listing.path, limit=limit, **parameters, **cursor)
        rows += body[listing.rows_name]
        if body["next_cursor"] is None or len(rows) >= most:
            return rows
        cursor = {"cursor": body["next_cursor"]}


def everything(listing: Listing) -> dict[str, Any]:
    """Return the parameters that leave out no row."""
    return {name: True for name in ("archived", "deactivated") if name in _parameters(listing)}


def _parameters(listing: Listing) -> tuple[str, ...]:
    return {"/v1/key-results": ("archived",), "/v1/teams": ("archived",), "/v1/objectives": ("archived",),
            "/v1/users": ("deactivated",)}.get(listing.path, ())  # fmt: skip


def export(api: Api, headers: dict[str, str], listing: Listing, wanted: str, **parameters: Any) -> bytes:
    answer = api.client.get(listing.path, params={"format": wanted, **parameters}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.content


def read_arrow(content: bytes) -> pa.Table:
    return pa.ipc.open_stream(content).read_all()


def read_parquet(content: bytes) -> pa.Table:
    return parquet.read_table(pa.BufferReader(content))


def read_csv(content: bytes, listing: Listing) -> list[dict[str, str | None]]:
    """Return the rows as text, as documented: without the apostrophe in front of an escaped text."""
    rows = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    return [
        {name: text.removeprefix("'") if kind_of(listing.row, name) is str else text for name, text in row.items()}
        for row in rows
    ]
