"""Validate named features against a model's input schema, and a model's output against its output schema."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from serving.errors import InvalidFeatures, InvalidField
from serving.suggestions import similar_names

ERRORS_SHOWN = 20
LONGEST_NAME_SHOWN = 100


@dataclass(frozen=True)
class _Schema:
    names: tuple[str, ...]
    required: frozenset[str]


def validated_rows(rows: Sequence[Mapping[str, Any]], schema: type[msgspec.Struct]) -> list[dict[str, Any]]:
    """Return the rows with the fields of the schema, in which omitted optional features have their defaults.

    Raises:
        InvalidFeatures: a feature is unknown, missing, of another type or out of bounds. The first 20 errors are named.
    """
    known = _schema_of(schema)
    errors: list[InvalidField] = []
    valid = []
    for number, row in enumerate(rows):
        found = list(islice(_errors(row, known, number), ERRORS_SHOWN))
        if not found:
            try:
                valid.append(msgspec.structs.asdict(msgspec.convert(dict(row), schema, strict=True)))
            except msgspec.ValidationError as error:
                found = [_invalid(error, number)]
        errors += found
        if len(errors) >= ERRORS_SHOWN:
            break
    if errors:
        raise InvalidFeatures(errors[:ERRORS_SHOWN])
    return valid


def check_output(output: Mapping[str, Any], schema: type[msgspec.Struct]) -> str | None:
    """Return how an output breaks the model's output schema, or None if it does not."""
    if bad := next(_not_finite(output), None):
        return f"{bad} is not a finite number"
    if unknown := [name for name in output if name not in schema.__struct_fields__]:
        return f"{', '.join(unknown)} is not in the output schema"
    try:
        msgspec.convert(dict(output), schema, strict=True)
    except msgspec.ValidationError as error:
        return str(error)
    return None


def json_schema(schema: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the JSON Schema of an input or output schema."""
    generated = msgspec.json.schema(schema)
    definitions = generated.pop("$defs", {})
    own = definitions.pop(schema.__name__, {})
    return {**own, **({"$defs": definitions} if definitions else {})}


def _schema_of(schema: type[msgspec.Struct]) -> _Schema:
    fields = msgspec.structs.fields(schema)
    return _Schema(tuple(each.name for each in fields), frozenset(each.name for each in fields if each.required))


def _errors(row: Mapping[str, Any], known: _Schema, number: int) -> Iterator[InvalidField]:
    for name in row:
        if name not in known.names:
            similar = similar_names(name, known.names, 1)
            hint = f" Did you mean {similar[0]}?" if similar else ""
            yield InvalidField(
                number, name[:LONGEST_NAME_SHOWN], f"Unknown feature; expected {', '.join(known.names)}.{hint}"
            )
    for name in known.names:
        if name in known.required and name not in row:
            yield InvalidField(number, name, "This feature is missing.")
    for name in _not_finite(row):
        yield InvalidField(number, name, f"Expected a finite number, got {row[name]!r}.")


def _not_finite(row: Mapping[str, Any]) -> Iterator[str]:
    return (name for name, value in row.items() if isinstance(value, float) and not math.isfinite(value))


def _invalid(error: msgspec.ValidationError, number: int) -> InvalidField:
    message, _, path = str(error).partition(" - at `$.")
    return InvalidField(number, path.rstrip("`"), f"{message}.")
