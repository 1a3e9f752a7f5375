"""Fields that the schemas of several rooms share."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from lakehouse.contracts.allowed_characters import fault_of_id
from serving.publication_reader import Published

LONGEST_ID = 128


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("text must not hold the character NUL")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("text must not hold half of a surrogate pair, which is no character")
    return text


def _natural_key(text: str) -> str:
    """Check an id by the contracts' own rule, so that every way in agrees on it."""
    if fault := fault_of_id(text):
        raise ValueError(f"an id must hold nothing that nobody sees; this one {fault}")
    return text


# Natural keys of sources, and free text without blanks at the ends.
Id = Annotated[
    str,
    StringConstraints(min_length=1, max_length=LONGEST_ID, pattern=r"^\S(.*\S)?$"),
    AfterValidator(_storable),
    AfterValidator(_natural_key),
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=2000), AfterValidator(_storable)]
Text = Annotated[str, AfterValidator(_storable)]
Ratio = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)]


class Query(BaseModel):
    """A request's query or form, where everything is text: a misspelt field is an error, not silence."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Body(BaseModel):
    """A request's JSON body: a misspelt field is an error, and so is a value of another type (true is not 1)."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, strict=True)


class PublishedResponse(BaseModel):
    """Every answer from the marts says which publication it was read from."""

    publication_id: int = Field(description="The publication that every value of this answer belongs to.")
    data_as_of: datetime = Field(description="The newest recording in that publication, UTC.")


def publication_fields(published: Published[Any]) -> dict[str, Any]:
    """Return the fields of `PublishedResponse`."""
    return {
        "publication_id": published.publication.publication_id,
        "data_as_of": published.publication.data_as_of,
    }
