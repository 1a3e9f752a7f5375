"""Fields and base classes that are shared by the schemas of several endpoints."""

from collections import Counter
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from lakehouse.contracts.allowed_characters import fault_of_id, fault_of_name
from serving.publication_reader import Published

LONGEST_ID = 128
LONGEST_CURSOR = 5_000


def storable(text: str) -> str:
    """Validate that PostgreSQL can store a text."""
    if "\x00" in text:
        raise ValueError("text must not contain the character NUL")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("text must not contain a lone surrogate")
    return text


def natural_key(text: str) -> str:
    """Validate an id by the rule of the event contracts, so that the API accepts the same ids as the sources."""
    if fault := fault_of_id(text):
        raise ValueError(f"an id must not contain invisible characters; this one {fault}")
    return text


def one_line(text: str) -> str:
    """Validate a text that operators see in terminals and logs, where control characters would be interpreted."""
    if fault := fault_of_name(text):
        raise ValueError(f"text must not contain control characters; this one {fault}")
    return text


def distinct(ids: list[str]) -> list[str]:
    """Validate that no id is repeated, because each repetition would be answered, recorded and charged again."""
    if len(set(ids)) < len(ids):
        [(repeated, _)] = Counter(ids).most_common(1)
        raise ValueError(f"Expected each id once; {repeated!r} is repeated")
    return ids


# An id from a source system, without leading or trailing whitespace.
Id = Annotated[
    str,
    StringConstraints(min_length=1, max_length=LONGEST_ID, pattern=r"^\S(.*\S)?$"),
    AfterValidator(storable),
    AfterValidator(natural_key),
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=2000), AfterValidator(storable)]
Text = Annotated[str, AfterValidator(storable)]
Line = Annotated[Text, AfterValidator(one_line)]
Cursor = Annotated[str, StringConstraints(max_length=LONGEST_CURSOR)]
Ratio = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)]


class Query(BaseModel):
    """A query or form, whose values are all text. An unknown field is an error."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Body(BaseModel):
    """A JSON body. An unknown field is an error, and so is a value of the wrong type (true is not accepted as 1)."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, strict=True)


class PublishedResponse(BaseModel):
    """Base of all responses from the marts, which identify the publication that they were read from."""

    publication_id: int = Field(description="The publication from which all values of this response were read.")
    data_as_of: datetime = Field(description="Time of the newest record in that publication, UTC.")


def publication_fields(published: Published[Any]) -> dict[str, Any]:
    """Return the fields of `PublishedResponse`."""
    return {
        "publication_id": published.publication.publication_id,
        "data_as_of": published.publication.data_as_of,
    }
