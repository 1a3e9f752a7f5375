"""Which changes to a schema are compatible with old events."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from lakehouse.contracts import contracts
from lakehouse.schemas.compatibility import Break, breaks
from lakehouse.schemas.generate import all_schemas, event_schema


def of(field: Any = None, *, name: str = "value", required: bool = True, **more: Any) -> dict[str, Any]:
    """Return the schema of an event with one field, as msgspec generates it, extended by `more`."""
    fields: list[Any] = (
        [] if field is None else [(name, field) if required else (name, field, more.pop("default", None))]
    )
    model = msgspec.defstruct("Model", fields, kw_only=True)
    generated = msgspec.json.schema(model)
    root = generated["$defs"].pop("Model")
    return root | {"$defs": generated["$defs"], "x-topic": "t", "x-key": "k"} | more


def text(**bounds: Any) -> Any:
    return Annotated[str, Meta(**bounds)]


def number(**bounds: Any) -> Any:
    return Annotated[float, Meta(**bounds)]


class Inner(msgspec.Struct):
    a: int


class NarrowInner(msgspec.Struct):
    a: Annotated[int, Meta(ge=1)]


class Tree(msgspec.Struct):
    value: int
    children: list["Tree"] = []


class NarrowTree(msgspec.Struct):
    value: Annotated[int, Meta(ge=0)]
    children: list["NarrowTree"] = []


INCOMPATIBLE = {
    "field removed": (of(str), of(), "value", "the field was removed"),
    "optional field removed": (of(str | None, required=False), of(), "value", "the field was removed"),
    "field renamed": (of(str), of(str, name="other"), "value", "the field was removed"),
    "new required field": (of(), of(str), "value", "a new field is required"),
    "optional field now required": (of(str, required=False, default=""), of(str), "value", "is now required"),
    "default changed": (of(int, required=False, default=1), of(int, required=False, default=2), "value", "default was"),
    "number now integer": (of(float), of(int), "value", "its type was number and is now integer"),
    "text now number": (of(str), of(float), "value", "its type was string and is now number"),
    "null no longer accepted": (of(str | None), of(str), "value", "null is no longer valid"),
    "one of two types removed": (of(int | str | None), of(int | None), "value", "string is no longer valid"),
    "enum value removed": (of(Literal["a", "b"]), of(Literal["a"]), "value", "'b' is no longer accepted"),
    "text now an enum": (of(str), of(Literal["a"]), "value", "any value was accepted, now only 'a'"),
    "anything now text": (of(Any), of(str), "value", "its type was anything and is now string"),
    "minimum raised": (of(number(ge=0.0)), of(number(ge=1.0)), "value", "minimum was 0.0 and is now 1.0"),
    "minimum added": (of(float), of(number(ge=1.0)), "value", "minimum was not set and is now 1.0"),
    "minimum now exclusive": (of(number(ge=0.0)), of(number(gt=0.0)), "value", "exclusiveMinimum was not set"),
    "maximum lowered": (of(number(le=2.0)), of(number(le=1.0)), "value", "maximum was 2.0 and is now 1.0"),
    "maximum now exclusive": (of(number(le=2.0)), of(number(lt=2.0)), "value", "exclusiveMaximum was not set"),
    "only multiples": (of(int), of(Annotated[int, Meta(multiple_of=2)]), "value", "multipleOf was not set"),
    "text now shorter": (of(text(max_length=9)), of(text(max_length=8)), "value", "maxLength was 9 and is now 8"),
    "text now longer": (of(str), of(text(min_length=1)), "value", "minLength was not set and is now 1"),
    "pattern added": (of(str), of(text(pattern="^a$")), "value", "pattern was nothing"),
    "pattern changed": (of(text(pattern="^a$")), of(text(pattern="^b$")), "value", "pattern was '^a$'"),
    "format added": (of(str), of(UUID), "value", "format was nothing"),
    "list's elements narrowed": (of(list[float]), of(list[int]), "value[]", "its type was number"),
    "list now shorter": (of(list[int]), of(Annotated[list[int], Meta(max_length=3)]), "value", "maxItems was not"),
    "map's values narrowed": (of(dict[str, float]), of(dict[str, int]), "value.*", "its type was number"),
    "map's names narrowed": (of(dict[str, int]), of(dict[text(max_length=3), int]), "value (names)", "maxLength"),
    "inside another object": (of(Inner), of(NarrowInner), "value.a", "minimum was not set and is now 1"),
    "inside an optional object": (of(Inner | None), of(NarrowInner | None), "value.a", "minimum was not set"),
    "inside a recursive model": (of(Tree), of(NarrowTree), "value.value", "minimum was not set and is now 0"),
    "unknown fields now rejected": (of(), of() | {"additionalProperties": False}, "", "additionalProperties are no"),
    "topic changed": (of(), of() | {"x-topic": "u"}, "", "its topic was 't' and is now 'u'"),
    "key changed": (of(), of() | {"x-key": "l"}, "", "its Kafka key was 'k' and is now 'l'"),
    "unknown keyword": (of(), of() | {"if": {}}, "", "if changed, and it is unknown whether"),
}  # fmt: skip

COMPATIBLE = {
    "nothing": (of(str), of(str)),
    "new optional field": (of(), of(str | None, required=False)),
    "required field now optional": (of(str), of(str, required=False, default="")),
    "integer now number": (of(int), of(float)),
    "null now taken": (of(str), of(str | None)),
    "another type taken": (of(int), of(int | str)),
    "value added to an enum": (of(Literal["a"]), of(Literal["a", "b"])),
    "an enum now text": (of(Literal["a"]), of(str)),
    "text now anything": (of(str), of(Any)),
    "minimum lowered": (of(number(ge=1.0)), of(number(ge=0.0))),
    "minimum no longer left out": (of(number(gt=0.0)), of(number(ge=0.0))),
    "maximum raised": (of(number(le=1.0)), of(number(le=2.0))),
    "bounds gone": (of(number(ge=0.0, le=1.0)), of(float)),
    "multiples of less": (of(Annotated[int, Meta(multiple_of=4)]), of(Annotated[int, Meta(multiple_of=2)])),
    "longer text": (of(text(max_length=8)), of(text(max_length=9))),
    "pattern gone": (of(text(pattern="^a$")), of(str)),
    "another description": (of(text(description="a")), of(text(description="b"))),
    "a model of itself": (of(Tree), of(Tree)),
    "objects take more": (of(NarrowInner), of(Inner)),
}


@pytest.mark.parametrize("change", INCOMPATIBLE)
def test_an_incompatible_change_is_reported_with_its_field(change: str) -> None:
    old, new, field, what = INCOMPATIBLE[change]
    found = breaks(old, new)
    assert any(each.field == field and what in each.what for each in found), found


@pytest.mark.parametrize("change", COMPATIBLE)
def test_a_compatible_change_is_accepted(change: str) -> None:
    old, new = COMPATIBLE[change]
    assert breaks(old, new) == []


@pytest.mark.parametrize("name", all_schemas())
def test_every_schema_reads_its_own_events(name: str) -> None:
    schema = all_schemas()[name]
    assert breaks(schema, schema) == []


@pytest.mark.parametrize("name", contracts())
def test_every_removed_field_is_reported(name: str) -> None:
    schema = event_schema(contracts()[name])
    for field in schema["properties"]:
        less = schema | {"properties": {key: each for key, each in schema["properties"].items() if key != field}}
        assert Break(field, "the field was removed") in breaks(schema, less)


BOUNDS = st.none() | st.integers(-3, 3)


@given(old=st.tuples(BOUNDS, BOUNDS), new=st.tuples(BOUNDS, BOUNDS), value=st.integers(-4, 4))
def test_a_compatible_schema_accepts_every_number_that_the_old_one_accepted(
    old: tuple[int | None, int | None], new: tuple[int | None, int | None], value: int
) -> None:
    def model(low: int | None, high: int | None) -> Any:
        return Annotated[int, Meta(ge=low, le=high)]

    def takes(bounds: tuple[int | None, int | None]) -> bool:
        low, high = bounds
        return (low is None or value >= low) and (high is None or value <= high)

    if not breaks(of(model(*old)), of(model(*new))):
        assert takes(new) or not takes(old)
