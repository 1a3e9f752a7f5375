"""Compose the statement of a page: the query of the list (a .sql file) within queries/page.sql."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from psycopg import sql

from lakehouse.warehouse import read_sql
from serving.data.lists.listing import CHANGED_AT, Listing, Term

PACKAGE = "serving.data"
BYTEWISE = sql.SQL(' COLLATE "C"')  # independent of the server's locale; cursors depend on this order


def page_statement(
    listing: Listing, columns: Sequence[str], order: Sequence[Term], after: Sequence[Any] | None
) -> bytes:
    """Return the statement for the rows after a position, in order.

    Its parameters are the parameters of the list's query and of the condition `visible`, `updated_since`,
    `limit` (null for all rows), and `after_<number>` for each value of the position.
    """
    are_null = None if after is None else tuple(value is None for value in after)
    return _statement(_Page(listing.path, tuple(columns), tuple(order), are_null, listing))


@dataclass(frozen=True)
class _Page:
    """What a statement depends on. `are_null` says which values of the position are null."""

    path: str  # identifies the list
    columns: tuple[str, ...]
    order: tuple[Term, ...]
    are_null: tuple[bool, ...] | None
    listing: Listing = field(compare=False)


@lru_cache(maxsize=256)  # callers choose columns and orders, so there may be many
def _statement(page: _Page) -> bytes:
    listing = page.listing
    conditions: list[sql.Composable] = [sql.SQL("true")]
    if listing.is_incremental:
        since = "(%(updated_since)s::timestamptz IS NULL OR {} >= %(updated_since)s)"
        conditions.append(sql.SQL(since).format(sql.Identifier(CHANGED_AT)))
    if page.are_null is not None:
        conditions.append(_after(listing, page.order, page.are_null))
    composed = sql.SQL(read_sql(PACKAGE, "queries/page")).format(
        columns=sql.SQL(", ").join(_selected(listing, column) for column in page.columns),
        rows=sql.SQL(read_sql(PACKAGE, f"queries/{listing.query}")),
        visible=sql.SQL(read_sql(PACKAGE, f"queries/visible/{listing.visible}")),
        conditions=sql.SQL(" AND ").join(conditions),
        order=sql.SQL(", ").join(_ordered(listing, term) for term in page.order),
    )
    return composed.as_bytes()


def position_parameters(after: Sequence[Any] | None) -> dict[str, Any]:
    """Return the parameters for the values of a position."""
    return {f"after_{number}": value for number, value in enumerate(after or ())}


def _selected(listing: Listing, column: str) -> sql.Composable:
    """Return a column. One that is computed in Python is null in the statement, so that it has its place in the row."""
    selected = sql.SQL("NULL AS {}") if column in listing.computed else sql.SQL("{}")
    return selected.format(sql.Identifier(column))


def _after(listing: Listing, order: Sequence[Term], are_null: Sequence[bool]) -> sql.Composable:
    """Return the condition that a row comes after the position.

    It does if it is later in one column of the order and equal in all columns before that one. An SQL row comparison
    cannot express this, because directions differ and nulls come last.
    """
    options: list[sql.Composable] = []
    equal: list[sql.Composable] = []
    for number, (term, is_null) in enumerate(zip(order, are_null, strict=True)):
        column, given = _compared(listing, term), sql.Placeholder(f"after_{number}")
        if not is_null:
            comparison = sql.SQL("<" if term.is_descending else ">")
            later = sql.SQL("({} {} {} OR {} IS NULL)").format(column, comparison, given, sql.Identifier(term.column))
            options.append(sql.SQL(" AND ").join([*equal, later]))
            equal.append(sql.SQL("{} = {}").format(column, given))
        else:
            equal.append(sql.SQL("{} IS NULL").format(sql.Identifier(term.column)))
    if not options:
        return sql.SQL("false")
    return sql.SQL("({})").format(sql.SQL(" OR ").join(sql.SQL("({})").format(each) for each in options))


def _ordered(listing: Listing, term: Term) -> sql.Composable:
    direction = sql.SQL("{} DESC NULLS LAST" if term.is_descending else "{} ASC NULLS LAST")
    return direction.format(_compared(listing, term))


def _compared(listing: Listing, term: Term) -> sql.Composable:
    is_text = listing.is_text(term.column)
    return sql.Identifier(term.column) + BYTEWISE if is_text else sql.Identifier(term.column)
