"""Check that a new schema accepts every event that the old one accepted (the BACKWARD rule of schema registries).

The check is stricter than a comparison of the sets of valid documents. Removing a field or changing a default counts as
a break, because it would change the meaning of old events. In one case, the check is more lenient: a new optional field
is not a break, although an old event could have an unknown field of that name with a different type. Otherwise,
contracts could never be extended.

A change that cannot be proved compatible (a different pattern, an unknown keyword) is a break.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

ANNOTATIONS = frozenset({"$schema", "$id", "$comment", "$defs", "title", "description", "examples", "deprecated"})
LOWER = ("minLength", "minItems", "minProperties")
UPPER = ("maxLength", "maxItems", "maxProperties")
UNPROVABLE = ("pattern", "format", "contentEncoding", "contentMediaType")
EVERYTHING: Schema = {}
NOTHING: Schema = {"not": {}}


@dataclass(frozen=True)
class Break:
    """One incompatible change: the field, as a path within the event, and a description."""

    field: str
    what: str

    def __str__(self) -> str:
        return f"{self.field or 'the event'}: {self.what}"


def breaks(old: Schema, new: Schema) -> list[Break]:
    """Return every incompatible change between two schemas of the same event type, each once."""
    comparison = _Comparison(old, new)
    return list(dict.fromkeys([*comparison.topic_and_key(), *comparison.compare(old, new, "")]))


class _Comparison:
    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new
        self._comparing: set[tuple[str, str]] = set()  # references being compared, for recursive models

    def topic_and_key(self) -> Iterator[Break]:
        for name, what in (("x-topic", "topic"), ("x-key", "Kafka key")):
            if self._old.get(name) != self._new.get(name):
                yield Break("", f"its {what} was {self._old.get(name)!r} and is now {self._new.get(name)!r}")

    def compare(self, old: Schema, new: Schema, field: str) -> Iterator[Break]:
        references = (str(old.get("$ref", "")), str(new.get("$ref", "")))
        if any(references):
            if references in self._comparing:
                return
            self._comparing.add(references)
        old, new = _resolved(old, self._old), _resolved(new, self._new)
        yield from _default(old, new, field)
        if "anyOf" in old or "anyOf" in new:
            yield from self._alternatives(old, new, field)
        else:
            yield from self._one(old, new, field)
        self._comparing.discard(references)

    def _alternatives(self, old: Schema, new: Schema, field: str) -> Iterator[Break]:
        """Require that each old alternative can be read by one of the new alternatives."""
        candidates = [_resolved(each, self._new) for each in new.get("anyOf", [new])]
        for each in old.get("anyOf", [old]):
            alternative = _without_default(_resolved(each, self._old))
            found = [list(self._one(alternative, _without_default(other), field)) for other in candidates]
            if all(found):
                same = [f for f, other in zip(found, candidates, strict=True) if _types(other) & _types(alternative)]
                unread = [Break(field, f"{_described(alternative)} is no longer valid")]
                yield from min(same, key=len) if same else unread

    def _one(self, old: Schema, new: Schema, field: str) -> Iterator[Break]:
        yield from _kinds(old, new, field)
        yield from _bounds(old, new, field)
        yield from _unproven(old, new, field)
        yield from self._object(old, new, field)
        yield from self._parts(old, new, field)

    def _object(self, old: Schema, new: Schema, field: str) -> Iterator[Break]:
        before, after = old.get("properties", {}), new.get("properties", {})
        must_before, must_after = set(old.get("required", ())), set(new.get("required", ()))
        for name, each in before.items():
            path = f"{field}.{name}" if field else name
            if name not in after:
                yield Break(path, "the field was removed")
                continue
            if name in must_after - must_before:
                yield Break(path, "the field was optional and is now required")
            yield from self.compare(each, after[name], path)
        for name in must_after - before.keys():
            path = f"{field}.{name}" if field else name
            yield Break(path, "a new field is required, which old events do not have")

    def _parts(self, old: Schema, new: Schema, field: str) -> Iterator[Break]:
        for keyword, part in (("items", "[]"), ("additionalProperties", ".*"), ("propertyNames", " (names)")):
            before, after = _part(old, keyword), _part(new, keyword)
            if before == NOTHING or after == EVERYTHING:
                continue
            if after == NOTHING:
                yield Break(field, f"{keyword} are no longer accepted")
            else:
                yield from self.compare(before, after, f"{field}{part}")


def _resolved(schema: Schema, document: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    target: Any = document
    for step in schema["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    return {**_resolved(target, document), **{name: value for name, value in schema.items() if name != "$ref"}}


def _part(schema: Schema, keyword: str) -> Schema:
    part = schema.get(keyword, True)
    if isinstance(part, bool):
        return EVERYTHING if part else NOTHING
    found: Schema = part
    return found


def _without_default(schema: Schema) -> Schema:
    return {name: value for name, value in schema.items() if name != "default"}


def _default(old: Schema, new: Schema, field: str) -> Iterator[Break]:
    if "default" in old and "default" in new and old["default"] != new["default"]:
        yield Break(
            field, f"its default was {old['default']!r} and is now {new['default']!r}: events without it would change"
        )


def _kinds(old: Schema, new: Schema, field: str) -> Iterator[Break]:
    lost = _types(old) - _types(new)
    if "integer" in lost and "number" in _types(new):
        lost -= {"integer"}
    if lost:
        yield Break(field, f"its type was {_described(old)} and is now {_described(new)}")
        return
    before, after = _values(old), _values(new)
    if after is not None and before is None:
        yield Break(field, f"any value was accepted, now only {', '.join(map(repr, after))}")
    elif after is not None and before is not None and (gone := [each for each in before if each not in after]):
        yield Break(field, f"{', '.join(map(repr, gone))} is no longer accepted")


ALL_TYPES = frozenset({"null", "boolean", "object", "array", "number", "integer", "string"})


def _types(schema: Schema) -> frozenset[str]:
    if "type" in schema:
        named = schema["type"]
        return frozenset([named] if isinstance(named, str) else named)
    values = _values(schema)
    if values is None:
        return ALL_TYPES
    names = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
    return frozenset(names.get(type(each), "object") for each in values)


def _values(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    values: list[Any] | None = schema.get("enum")
    return values


def _described(schema: Schema) -> str:
    types = _types(schema)
    return "anything" if types == ALL_TYPES else " or ".join(sorted(types))


def _bounds(old: Schema, new: Schema, field: str) -> Iterator[Break]:
    for name in LOWER:
        if new.get(name, 0) > old.get(name, 0):
            yield _narrowed(field, name, old, new)
    for name in UPPER:
        if name in new and (name not in old or new[name] < old[name]):
            yield _narrowed(field, name, old, new)
    for inclusive, exclusive, sign in (("minimum", "exclusiveMinimum", 1), ("maximum", "exclusiveMaximum", -1)):
        before, after = (_limit(schema, inclusive, exclusive, sign) for schema in (old, new))
        if after is not None and (before is None or after > before):
            yield _narrowed(field, exclusive if exclusive in new else inclusive, old, new)
    divisor = new.get("multipleOf")
    if divisor is not None and ("multipleOf" not in old or old["multipleOf"] % divisor):
        yield _narrowed(field, "multipleOf", old, new)
    if new.get("uniqueItems") and not old.get("uniqueItems"):
        yield _narrowed(field, "uniqueItems", old, new)


def _limit(schema: Schema, inclusive: str, exclusive: str, sign: int) -> tuple[float, bool] | None:
    """Return a limit as (number times `sign`, is exclusive). Of two tuples, the larger one is the narrower limit."""
    limits = [(sign * schema[name], name == exclusive) for name in (inclusive, exclusive) if name in schema]
    return max(limits) if limits else None


def _narrowed(field: str, name: str, old: Schema, new: Schema) -> Break:
    was = f"was {old[name]!r}" if name in old else "was not set"
    return Break(field, f"{name} {was} and is now {new[name]!r}, which old events may exceed")


HANDLED = frozenset(
    {
        *ANNOTATIONS, *LOWER, *UPPER, *UNPROVABLE, "$ref", "anyOf", "default", "type", "enum", "const", "minimum",
        "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "uniqueItems", "properties", "required",
        "items", "additionalProperties", "propertyNames", "x-topic", "x-key",
    }
)  # fmt: skip


def _unproven(old: Schema, new: Schema, field: str) -> Iterator[Break]:
    for name in UNPROVABLE:
        if name in new and new[name] != old.get(name):
            was = repr(old[name]) if name in old else "nothing"
            yield Break(field, f"{name} was {was} and is now {new[name]!r}, which old events may not fit")
    for name in sorted((old.keys() | new.keys()) - HANDLED):
        if old.get(name) != new.get(name):
            yield Break(field, f"{name} changed, and it is unknown whether old events fit")
