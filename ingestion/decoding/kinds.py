"""Event types as C can judge them: the contracts' models without what is slow there, and that as rules."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from operator import attrgetter
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from ingestion.events import EARLIEST, LATEST, moment_fields
from lakehouse.contracts import Contract, contracts
from lakehouse.contracts.fields import INK_AT_BOTH_ENDS


@dataclass(frozen=True)
class Rule:
    """What a payload's field must keep beyond what C checks. `all_fit` may say so of many at once, at less cost."""

    field: Callable[[Any], Any]
    fits: Callable[[Any], object]
    all_fit: Callable[[Sequence[Any]], bool]

    def broken_by(self, payloads: Sequence[Any]) -> set[int]:
        """Return the numbers of the payloads that break the rule."""
        column = list(map(self.field, payloads))
        if self.all_fit(column):
            return set()
        strange = {value for value in set(column) if value is not None and not self.fits(value)}
        return {number for number, value in enumerate(column) if value in strange} if strange else set()


@dataclass(frozen=True)
class Kind:
    """How one event type is judged: by its `model`, in C, then by the rules. `key` is what the subject must equal."""

    name: str
    model: type[Any]
    key: Callable[[Any], str]
    rules: tuple[Rule, ...]


@cache
def decoder(topic: str) -> msgspec.json.Decoder[Any]:
    """Return what decodes any event of a topic into the model of its kind."""
    models = tuple(kinds(topic))
    return msgspec.json.Decoder(Union[models])  # noqa: UP007 - of as many as there are


@cache
def kinds(topic: str) -> dict[type[Any], Kind]:
    """Return the kinds of a topic's events by their models."""
    found = (_kind(contract) for contract in contracts().values() if contract.topic == topic)
    return {kind.model: kind for kind in found}


def _kind(contract: Contract) -> Kind:
    payload, patterns = _without_patterns(contract.model)
    # Envelope, but with text where C would be slow, and without attributes of others: those are for `decode`.
    model = msgspec.defstruct(
        f"Bare{contract.model.__name__}Event",
        [
            ("id", str),
            ("source", Annotated[str, msgspec.Meta(min_length=1, max_length=256)]),
            ("time", str),
            ("subject", str),
            ("data", payload),
            ("specversion", Literal["1.0"], "1.0"),
            ("dataschema", str | None, None),
            ("recordedtime", str | None, None),
            ("recordedassumed", bool, False),
        ],
        tag_field="type", tag=contract.name, kw_only=True, forbid_unknown_fields=True, gc=False,
    )  # fmt: skip
    rules = [
        Rule(attrgetter(name), pattern.search, _without_space if pattern.pattern == INK_AT_BOTH_ENDS else _unsure)
        for name, pattern in patterns.items()
    ]
    rules += [Rule(attrgetter(name), _is_storable, _unsure) for name in moment_fields(contract.model)]
    return Kind(contract.name, model, attrgetter(contract.key), tuple(rules))


def _is_storable(moment: datetime) -> bool:
    return EARLIEST <= moment < LATEST


def _without_space(texts: Sequence[str | None]) -> bool:
    """Say whether no text holds any space: then each surely begins and ends with ink."""
    text = "".join(filter(None, texts))
    return text.isascii() and text.isprintable() and " " not in text


def _unsure(_column: Sequence[Any]) -> bool:
    return False


def _without_patterns(model: type[msgspec.Struct]) -> tuple[type[msgspec.Struct], dict[str, re.Pattern[str]]]:
    """Return a contract's model with the patterns taken off its text fields, and those patterns by field."""
    bare: list[tuple[str, Any, Any]] = []
    patterns = {}
    for each in msgspec.structs.fields(model):
        is_optional = get_origin(each.type) in (Union, UnionType) and type(None) in get_args(each.type)
        hint = next(option for option in get_args(each.type) if option is not type(None)) if is_optional else each.type
        base, *metas = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        meta = next((meta for meta in metas if isinstance(meta, msgspec.Meta) and meta.pattern), None)
        if base is str and meta is not None and meta.pattern is not None:
            patterns[each.name] = re.compile(meta.pattern)
            plain: Any = Annotated[str, msgspec.Meta(min_length=meta.min_length, max_length=meta.max_length)]
            bare.append((each.name, plain | None if is_optional else plain, each.default))
    name = f"Bare{model.__name__}"
    return msgspec.defstruct(name, bare, bases=(model,), kw_only=True, frozen=True, gc=False), patterns
