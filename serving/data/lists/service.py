"""Read pages of the lists of the data API. This module does not use FastAPI."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from psycopg.rows import dict_row

from lakehouse.field_encryption.decryption import PersonalColumn
from serving.data.filters import check_known
from serving.data.lists.cursors import Cursors, Position
from serving.data.lists.list_query import DEFAULT_PAGE, ListQuery, updated_since
from serving.data.lists.listing import Computed, Listing, Term
from serving.data.lists.page_statement import page_statement, position_parameters
from serving.personal_fields import PersonalFields
from serving.publication_reader import Publication, Published, PublishedReader, Row
from serving.warehouses import Warehouses

NAMED_FILTERS = ("team", "cycle", "organisation", "objective", "key_result", "user")
BATCH_ROWS = 2_000


@dataclass(frozen=True)
class Page:
    """A page of rows with the requested fields, and the cursor for the next page (None on the last page)."""

    rows: list[Row]
    next_cursor: str | None


@dataclass(frozen=True)
class ListRequest:
    """A request for a list, and the parameters that restrict it to what the caller may see."""

    listing: Listing
    query: ListQuery
    visible: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Check the fields, the order and the cursor.

        Raises:
            UnknownName: the list has no such field.
            ContractViolation: this list did not return the cursor.
        """
        _ = self.order, self.fields, self.position

    @cached_property
    def order(self) -> tuple[Term, ...]:
        """Return the terms by which rows are sorted."""
        return self.listing.order(self.query.sort)

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Return the fields of each row."""
        return self.listing.selected(self.query.fields)

    @cached_property
    def cursors(self) -> Cursors:
        """Return the encoder of cursors for these filters and this order."""
        filters = json.dumps(
            [self.query.filters(), self.query.sort, updated_since(self.query)], default=str, sort_keys=True
        )
        text = f"{self.listing.path} {filters}"
        return Cursors(self.listing, self.order, hashlib.sha256(text.encode()).hexdigest()[:16])

    @cached_property
    def position(self) -> Position | None:
        """Return the position after which the page starts."""
        return None if self.query.cursor is None else self.cursors.decode(self.query.cursor)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Return the columns of the statement: the fields, and what the order and computed fields need besides."""
        computed = self.listing.computed
        needed = [*self.fields, *(term.column for term in self.order)]
        needed += [name for field in self.fields if field in computed for name in computed[field].inputs]
        needed += [column.entity_column for column in self.personal.values()]
        return tuple(dict.fromkeys(needed))

    @cached_property
    def personal(self) -> dict[str, PersonalColumn]:
        """Return the requested fields that may be encrypted."""
        return {name: column for name, column in self.listing.personal.items() if name in self.fields}

    @cached_property
    def _computed(self) -> list[tuple[str, Computed]]:
        return [(name, each) for name, each in self.listing.computed.items() if name in self.fields]

    def shown(self, row: Row) -> Row:
        """Reduce a row of the statement to the requested fields, in place, and return it."""
        for name, computed in self._computed:
            row[name] = computed.value(row)
        for name in self.columns[len(self.fields) :]:
            del row[name]
        return row

    def etag(self, publication: Publication, *scope: str) -> str:
        """Return the entity tag of the response. Responses with equal tags have equal rows.

        If the list has computed fields, the tag depends on the day, because `missing_to_close` does.
        """
        day = datetime.now(UTC).date().isoformat() if self.listing.computed else ""
        parts = [self.query.model_dump_json(), self.listing.path, day, *scope]
        parts.append(json.dumps(dict(self.visible), sort_keys=True))
        digest = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:24]
        return f'W/"{publication.publication_id}-{digest}"'


class Lists:
    """Reads the lists. Every method raises NotPublished before the first publication."""

    def __init__(self, warehouses: Warehouses) -> None:
        self._warehouses = warehouses

    def publication(self) -> Publication:
        """Return the current publication."""
        return self._warehouses.installation.publication()

    def page(self, request: ListRequest) -> Published[Page]:
        """Return a page.

        Raises:
            UnknownName: the publication has no team, cycle or other entity with a name in a filter.
            CursorExpired: a newer publication has replaced the one that the cursor belongs to.
        """
        fields = self._warehouses.personal_fields
        return self._warehouses.seen_by(request.visible).read(lambda reader: read_page(reader, request, fields))

    @contextmanager
    def all_rows(self, request: ListRequest) -> Iterator[Published[Iterator[list[Row]]]]:
        """Yield all rows in batches, from one snapshot of one publication, in bounded memory.

        Raises:
            UnknownName: the publication has no team, cycle or other entity with a name in a filter.
        """
        with ExitStack() as stack:
            reader = stack.enter_context(self._warehouses.seen_by(request.visible).snapshot())
            _checked_position(reader, request)
            statement = page_statement(request.listing, request.columns, request.order, None)
            cursor = stack.enter_context(reader.connection.cursor(name="rows", row_factory=dict_row))
            cursor.execute(statement, _parameters(request, None, None))

            def batches() -> Iterator[list[Row]]:
                while rows := cursor.fetchmany(BATCH_ROWS):
                    self._warehouses.personal_fields.show(rows, request.personal)
                    yield [request.shown(row) for row in rows]

            yield Published(reader.publication, batches())


def read_page(reader: PublishedReader, request: ListRequest, fields: PersonalFields | None = None) -> Page:
    """Return a page from a snapshot. Its cursor contains the stored values, by which the rows are ordered.

    Without `fields`, encrypted values stay unreadable.

    Raises:
        UnknownName: the publication has no team, cycle or other entity with a name in a filter.
        CursorExpired: a newer publication has replaced the one that the cursor belongs to.
    """
    limit = request.query.limit or DEFAULT_PAGE
    after = _checked_position(reader, request)
    statement = page_statement(request.listing, request.columns, request.order, after)
    with reader.connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(statement, _parameters(request, after, limit + 1)).fetchall()
    shown = rows[:limit]
    has_next = len(rows) > limit
    next_cursor = request.cursors.encode(shown[-1], reader.publication.publication_id) if has_next else None
    (fields or PersonalFields()).show(shown, request.personal)
    return Page([request.shown(row) for row in shown], next_cursor)


def _checked_position(reader: PublishedReader, request: ListRequest) -> Sequence[Any] | None:
    """Check the names in the filters and the cursor; return the values after which the page starts, if any."""
    filters = request.query.filters()
    check_known(reader, {name: filters[name] for name in NAMED_FILTERS if filters.get(name)}, request.visible)
    if request.position is None:
        return None
    request.position.check(reader.publication.publication_id)
    return request.position.values


def _parameters(request: ListRequest, after: Sequence[Any] | None, limit: int | None) -> Mapping[str, Any]:
    common = {"updated_since": updated_since(request.query), "limit": limit}
    return {**request.query.filters(), **request.visible, **common, **position_parameters(after)}
