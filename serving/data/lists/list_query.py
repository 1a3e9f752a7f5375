"""The query parameters that all lists, incremental lists and lists of days have."""

import re
from datetime import date, datetime
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints

from serving.publication_reader import Row
from serving.schemas import Cursor, Name, Query

LARGEST_PAGE = 1_000
DEFAULT_PAGE = 100
FIRST_YEAR, LAST_YEAR = 1970, 2200
NUMBER = re.compile(r"[-+]?[0-9._]+(e[-+]?[0-9]+)?", re.IGNORECASE)

Names = Annotated[list[Name], Field(max_length=100)]
PageCursor = Annotated[Cursor | None, Field(description="`next_cursor` of the previous page.")]


def _in_range(moment: Any) -> Any:
    if not FIRST_YEAR <= moment.year < LAST_YEAR:
        raise ValueError(f"expected a time between {FIRST_YEAR} and {LAST_YEAR}")
    return moment


def _reject_number(text: Any) -> Any:
    """Reject numbers, which pydantic would read as seconds since 1970: `updated_since=2026` would match all rows."""
    if isinstance(text, str) and NUMBER.fullmatch(text.strip()):
        raise ValueError("expected a date or time in the format of ISO 8601, not a number")
    return text


Day = Annotated[date, BeforeValidator(_reject_number), AfterValidator(_in_range)]
Moment = Annotated[AwareDatetime, BeforeValidator(_reject_number), AfterValidator(_in_range)]


class ListQuery(Query):
    """The parameters of every list. If a filter is given several times, it matches any of its values."""

    limit: Annotated[int, Field(ge=1, le=LARGEST_PAGE, description="Rows per page.")] | None = None
    cursor: PageCursor = None
    sort: Annotated[str, StringConstraints(max_length=100)] | None = Field(
        None, description="A field to sort by, e.g. `title`; `-title` sorts in descending order. Nulls come last."
    )
    fields: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=2_000)]], Field(max_length=100)
    ] = Field([], description="The fields to return, separated by commas; all if omitted.")
    format: Annotated[str, StringConstraints(max_length=20)] | None = Field(
        None, description="json (pages), or csv, parquet or arrow (all rows). If omitted, the header Accept decides."
    )

    NOT_FILTERS: ClassVar[frozenset[str]] = frozenset({"limit", "cursor", "sort", "fields", "format", "updated_since"})

    def filters(self) -> Row:
        """Return the values of the filters by parameter. An omitted filter is None."""
        names = (name for name in type(self).model_fields if name not in self.NOT_FILTERS)
        return {name: None if (value := getattr(self, name)) == [] else value for name in names}


class IncrementalQuery(ListQuery):
    """The parameters of a list whose rows have a time of their last change."""

    updated_since: Moment | None = Field(
        None, description="Only rows whose `changed_at` is at or after this time, for incremental extraction."
    )


class DaysQuery(ListQuery):
    """The parameters of a list of days."""

    from_day: Day | None = Field(None, description="The first day, UTC.")
    to_day: Day | None = Field(None, description="The last day, inclusive, UTC.")


def updated_since(query: ListQuery) -> datetime | None:
    """Return the parameter `updated_since`, or None if it is omitted or the list does not have it."""
    return query.updated_since if isinstance(query, IncrementalQuery) else None
