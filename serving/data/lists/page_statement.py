"""Compose the statement of a page: the query of the list (a .sql file) within queries/page.sql."""

from collections.abc import Sequence
from typing import Any

from psycopg import sql

from lakehouse.warehouse import read_sql
from serving.data.lists.listing import CHANGED_AT, Listing, Term

PACKAGE = "serving.data"
BYTEWISE = sql.SQL(' COLLATE "C"')  # independent of the server's locale; cursors depend on this order


def page_statement(
    listing: Listing, columns: Sequence[str], order: Sequence[Term], after: Sequence[Any] | None
) -> sql.Composed:
    """Return the statement for the rows after a position, in order.

    Its parameters are those of the list's query and of the condition on what the caller may see, `updated_since`,
    `limit` (null for all rows), and `after_<number>` for each value of the position.
    """
    conditions: list[sql.Composable] = [sql.SQL("true")]
    if listing.is_incremental:
        since = "(%(updated_since)s::timestamptz IS NULL OR {} >= %(updated_since)s)"
        conditions.append(sql.SQL(since).format(sql.Identifier(CHANGED_AT)))
    if after is not None:
        conditions.append(_after(listing, order, after))
    return sql.SQL(read_sql(PACKAGE, "queries/page")).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        rows=sql.SQL(read_sql(PACKAGE, f"queries/{listing.query}")),
        visible=sql.SQL(read_sql(PACKAGE, f"queries/visible/{listing.visible}")),
        conditions=sql.SQL(" AND ").join(conditions),
        order=sql.SQL(", ").join(_ordered(listing, term) for term in order),
    )


def position_parameters(after: Sequence[Any] | None) -> dict[str, Any]:
    """Return the parameters for the values of a position."""
    return {f"after_{number}": value for number, value in enumerate(after or ())}


def _after(listing: Listing, order: Sequence[Term], after: Sequence[Any]) -> sql.Composable:
    """Return the condition that a row comes after the position.

    It does if it is later in one column of the order and equal in all columns before that one. An SQL row comparison
    cannot express this, because directions differ and nulls come last.
    """
    options: list[sql.Composable] = []
    equal: list[sql.Composable] = []
    for number, (term, value) in enumerate(zip(order, after, strict=True)):
        column, given = _compared(listing, term), sql.Placeholder(f"after_{number}")
        if value is not None:
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
