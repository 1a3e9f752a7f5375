"""Event types for fast decoding. Rules that are slow in msgspec are removed from the models and checked separately."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from operator import attrgetter
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from ingestion.contract_validation import EARLIEST, LATEST, id_fields, moment_fields
from lakehouse.contracts import Contract, contracts
from lakehouse.contracts.allowed_characters import fault_of_id
from lakehouse.contracts.fields import NO_SPACE_AT_EITHER_END

FieldGetter = Callable[[Any], Any]


@dataclass(frozen=True)
class EventType:
    """One event type: its `model`, which msgspec checks in C, and the rules that are not part of that model.

    The subject must equal the payload's `key` field, and each field in `rules` must satisfy its rule. All fields in
    `ids` have the same rule. Visible ASCII without spaces always satisfies it, so a single check usually covers all ids
    of a batch.
    """

    name: str
    model: type[Any]
    key: FieldGetter
    ids: tuple[FieldGetter, ...]
    rules: tuple[tuple[FieldGetter, Callable[[Any], object]], ...]

    def violations(self, events: Sequence[Any], doubtful: Sequence[int]) -> set[int]:
        """Return the indexes of the events that break a rule. Each event is of this type or is UNDECODED.

        `doubtful` contains the indexes of events with an escape or a non-ASCII character. The `ids` of the other events
        are not checked here. `ingestion.storable_json.PLAIN_DATA` later detects leading and trailing spaces and U+007F
        in them by column. Other control characters can only occur as escapes.
        """
        payloads = [event.data for event in events]
        keys, subjects = list(map(self.key, payloads)), [event.subject for event in events]
        violating = set()
        if keys != subjects:
            violating = {index for index, key in enumerate(keys) if key != subjects[index]}
        if doubtful:
            # `decode` keeps an escaped request id as it was sent.
            violating.update(index for index in doubtful if events[index].requestid is not None)
            columns = [[field(payloads[index]) for index in doubtful] for field in self.ids]
            if not _is_plain(columns):
                violating.update(*({doubtful[index] for index in _disallowed(column, _is_id)} for column in columns))
        return violating.union(*(_disallowed(list(map(field, payloads)), rule) for field, rule in self.rules))


def _is_id(text: str) -> bool:
    return fault_of_id(text) is None


def _is_plain(columns: Sequence[Sequence[str | None]]) -> bool:
    """Return whether all texts are visible ASCII without a space, which makes each of them a valid id."""
    text = "".join(["".join(filter(None, column)) for column in columns])
    return text.isascii() and text.isprintable() and " " not in text


def _disallowed(column: Sequence[Any], is_allowed: Callable[[Any], object]) -> set[int]:
    """Return the indexes of the values that are not allowed. Each distinct value is checked once. None is allowed."""
    invalid = {value for value in set(column) if value is not None and not is_allowed(value)}
    return {index for index, value in enumerate(column) if value in invalid} if invalid else set()


class _NoEvent(msgspec.Struct, tag_field="type", tag="none"):
    """A type that matches no message. It makes every topic's decoder a union, so that messages must name their type."""

    number: Annotated[int, msgspec.Meta(gt=0, lt=0)]


@cache
def decoder(topic: str) -> msgspec.json.Decoder[Any]:
    """Return a decoder that decodes any event of a topic into the model of its type."""
    models = (*event_types(topic), _NoEvent)
    return msgspec.json.Decoder(Union[models])  # noqa: UP007 - the number of models varies


@cache
def event_types(topic: str) -> dict[type[Any], EventType]:
    """Return a topic's event types by their models."""
    found = (_event_type(contract) for contract in contracts().values() if contract.topic == topic)
    return {kind.model: kind for kind in found}


def _event_type(contract: Contract) -> EventType:
    payload, patterns = _without_patterns(contract.model)
    # This model differs from Envelope in three ways. Types that are slow in msgspec are replaced by text. Extension
    # attributes except `requestid` are forbidden, because `decode` handles them. Fields are in the order in which
    # `encode` writes them, which is the fastest to decode.
    model = msgspec.defstruct(
        f"Bare{contract.model.__name__}Event",
        [
            ("specversion", Literal["1.0"], "1.0"),
            ("id", str),
            ("source", Annotated[str, msgspec.Meta(min_length=1, max_length=256)]),
            ("subject", str),
            ("time", str),
            ("recordedtime", str | None, None),
            ("recordedassumed", bool, False),
            ("requestid", str | None, None),
            ("data", payload),
            ("dataschema", str | None, None),
        ],
        tag_field="type", tag=contract.name, kw_only=True, forbid_unknown_fields=True, gc=False,
    )  # fmt: skip
    ids = tuple(map(attrgetter, id_fields(contract.model)))
    rules: list[tuple[FieldGetter, Callable[[Any], object]]] = [
        (attrgetter(name), re.compile(pattern).search)
        for name, pattern in patterns.items()
        if pattern != NO_SPACE_AT_EITHER_END
    ]
    rules += [(attrgetter(name), _is_in_range) for name in moment_fields(contract.model)]
    return EventType(contract.name, model, attrgetter(contract.key), ids, tuple(rules))


def _is_in_range(moment: datetime) -> bool:
    return EARLIEST <= moment < LATEST


def _without_patterns(model: type[msgspec.Struct]) -> tuple[type[msgspec.Struct], dict[str, str]]:
    """Return a contract's model without the patterns of its text fields, and these patterns by field."""
    bare: list[tuple[str, Any, Any]] = []
    patterns = {}
    for each in msgspec.structs.fields(model):
        is_optional = get_origin(each.type) in (Union, UnionType) and type(None) in get_args(each.type)
        hint = next(option for option in get_args(each.type) if option is not type(None)) if is_optional else each.type
        base, *metas = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        meta = next((meta for meta in metas if isinstance(meta, msgspec.Meta) and meta.pattern), None)
        if base is str and meta is not None and meta.pattern is not None:
            patterns[each.name] = meta.pattern
            length = msgspec.Meta(min_length=meta.min_length, max_length=meta.max_length)
            plain: Any = str
            for rule in (length, *(other for other in metas if other is not meta)):
                plain = Annotated[plain, rule]
            bare.append((each.name, plain | None if is_optional else plain, each.default))
    name = f"Bare{model.__name__}"
    return msgspec.defstruct(name, bare, bases=(model,), kw_only=True, frozen=True, gc=False), patterns
