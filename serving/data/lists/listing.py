"""The definition of a list: its path, its query, the columns of its rows and their order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from lakehouse.field_encryption.decryption import PersonalColumn
from serving.errors import UnknownName
from serving.publication_reader import Row
from serving.suggestions import similar_names

CHANGED_AT = "changed_at"


def kind_of(row: type[BaseModel], column: str) -> type:
    """Return the Python type of a column, regardless of whether it may be null. A Literal is text."""
    annotation = row.model_fields[column].annotation
    options = [each for each in get_args(annotation) if each is not type(None)]
    if get_origin(annotation) is Literal or (options and get_origin(options[0]) is Literal):
        return str
    found = options[0] if options else annotation
    assert isinstance(found, type)  # noqa: S101 -- columns have simple types
    return found


@dataclass(frozen=True)
class Term:
    """A column by which a list is sorted, and the direction."""

    column: str
    is_descending: bool = False

    @classmethod
    def parse(cls, text: str) -> "Term":
        """Return the term that `column` or `-column` (descending) describes."""
        return cls(text.removeprefix("-"), text.startswith("-"))


@dataclass(frozen=True)
class Computed:
    """A field that is computed in Python. `inputs` are the columns that the computation needs from the query."""

    value: Callable[[Row], Any]
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """A list of the data API.

    `rows_name` is the member of the response that contains the rows. `row` is the model of a row; its fields are the
    columns of the list, in this order. `query` names the file in serving/data/queries. `key` identifies a row. It is
    the default order, unless `newest_first` names a column. `visible` names the condition that restricts the list to
    what the caller may see (queries/visible). `personal` names the columns that may be encrypted (ADR 34).
    """

    path: str
    rows_name: str
    row: type[BaseModel]
    query: str
    key: tuple[str, ...]
    newest_first: str | None = None
    visible: Literal["by_team", "by_organisation", "by_user", "installation"] = "by_team"
    computed: Mapping[str, Computed] = field(default_factory=dict)
    personal: Mapping[str, PersonalColumn] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the fields of a row, in order."""
        return tuple(self.row.model_fields)

    @property
    def is_incremental(self) -> bool:
        """Return whether rows have a time of their last change, by which `updated_since` selects them."""
        return CHANGED_AT in self.row.model_fields

    @property
    def key_terms(self) -> tuple[Term, ...]:
        """Return the columns of the key as terms."""
        return tuple(map(Term.parse, self.key))

    def order(self, sort: str | None) -> tuple[Term, ...]:
        """Return the terms by which rows are sorted. The key comes last, which makes the order unambiguous.

        Raises:
            UnknownName: the list cannot be sorted by this column.
        """
        wanted = sort or (f"-{self.newest_first}" if self.newest_first else None)
        if wanted is None:
            return self.key_terms
        term = Term.parse(wanted)
        self._check("sort", [term.column], [name for name in self.columns if name not in self.computed])
        return (term, *(each for each in self.key_terms if each.column != term.column))

    def is_text(self, column: str) -> bool:
        """Return whether a column contains text."""
        return kind_of(self.row, column) is str

    def is_by_key(self, order: tuple[Term, ...]) -> bool:
        """Return whether an order is the order of the key. No publication changes the key of a row."""
        return order == self.key_terms

    def selected(self, fields: list[str]) -> tuple[str, ...]:
        """Return the requested fields in the order of the row model, or all fields if none is requested.

        Raises:
            UnknownName: a row has no such field.
        """
        wanted = [name for text in fields for name in text.split(",")]
        self._check("fields", wanted, self.columns)
        return tuple(name for name in self.columns if name in wanted) if wanted else self.columns

    def _check(self, parameter: str, names: list[str], known: "list[str] | tuple[str, ...]") -> None:
        for name in names:
            if name not in known:
                raise UnknownName(
                    f"A row of GET {self.path} has no field {name!r}{' to sort by' if parameter == 'sort' else ''}; "
                    f"expected one of: {', '.join(known)}.",
                    pointer=f"query {parameter}",
                    similar=similar_names(name, known),
                )
