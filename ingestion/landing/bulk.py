"""Good events of a whole batch at once: what `decode` would say of each, for a fraction of its cost.

The contracts' models judge each message in C, but without the patterns and moments that are slow there; those are
judged by column. Only what is surely good is taken, as the very row that `decode` would make of it (a property test
holds them side by side). All else is left to `decode`: it alone rejects, and takes what is good in an unusual form: an
id in capital letters, a time with an offset, an envelope with attributes of others, a number that needs a closer look.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter, eq
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from ingestion.events import CLOCK_TOLERANCE, EARLIEST, LATEST, MAX_VALUE_BYTES, moment_fields
from ingestion.storable import find_suspects
from lakehouse.contracts import Contract, contracts

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

# Forms that are taken here: an id in lower case; a time in UTC with at most microseconds, of a day that exists, in the
# years that `decode` allows.
ID = r"\A[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\z"
_LEAP_YEAR = "(19(72|76|80|84|88|92|96)|20([02468][048]|[13579][26])|21(0[48]|[2468][048]|[13579][26]))"
_MONTH_AND_DAY = "((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)"
TIME = (
    rf"\A((19[7-9][0-9]|2[01][0-9]{{2}})-{_MONTH_AND_DAY}|{_LEAP_YEAR}-02-29)"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?Z\z"
)
# Within `data` and whatever follows it: another member of that name, also where escapes hide it.
SECOND_DATA = r',\s*"(data"|[^"\\]*\\)'


@dataclass(frozen=True)
class Kind:
    """How one event type is judged: by its `model`, in C; then the fields of `fits`, by their different values."""

    name: str
    model: type[Any]
    key: Callable[[Any], str]
    fits: tuple[tuple[str, Callable[[Any], object]], ...]


@dataclass(frozen=True)
class Sifted:
    """Messages that C found nothing wrong with: their numbers in the batch, their bytes, and what C made of them."""

    numbers: list[int]
    values: list[bytes]
    events: list[Any]


def decode_good(
    topic: str, values: Sequence[bytes | None], keys: Sequence[bytes | None], places: "pa.Table"
) -> "tuple[pa.Table, np.ndarray]":
    """Return the surely good ones of a topic's messages as a table, and their numbers in `values`, rising.

    `places` has the PLACE_COLUMNS of all messages; the table has EVENT_COLUMNS.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    sifted = _sift(topic, values)
    events, numbers = sifted.events, np.array(sifted.numbers, np.int64)
    text = {
        name: pa.array(list(map(attrgetter(name), events)), pa.string())
        for name in ("id", "source", "subject", "time", "recordedtime")
    }
    names, is_good = _judge_payloads(topic, events)
    data, is_cut = _cut_data(sifted.values)
    keyed = pa.array([keys[number] for number in sifted.numbers], pa.binary())
    is_good &= is_cut
    is_good &= _true(pc.match_substring_regex(text["id"], ID))
    is_good &= _true(pc.match_substring_regex(text["time"], TIME))
    is_good &= _true(pc.match_substring_regex(text["recordedtime"], TIME), null=True)
    is_good &= _true(pc.equal(keyed, text["subject"].cast(pa.binary())), null=True)
    columns = {
        "event_id": text["id"],
        "event_type": names,
        "source": text["source"],
        "subject": text["subject"],
        "occurred_at": text["time"],
        "recorded_at": text["recordedtime"],
        "recorded_at_assumed": pa.array([event.recordedassumed for event in events], pa.bool_()),
        "data": data,
        "extensions": pa.nulls(len(events), pa.string()),
    }
    rows, numbers = _only(is_good, pa.table(columns), numbers)
    rows = _timed(rows, places.take(numbers))
    latest = pc.add(rows["logged_at"], pa.scalar(CLOCK_TOLERANCE, pa.duration("us")))
    return _only(_true(pc.less_equal(rows["occurred_at"], latest)), rows, numbers)


def _sift(topic: str, values: Sequence[bytes | None]) -> Sifted:
    decode, numbers, taken, events = _decoder(topic).decode, [], [], []
    for number, value in enumerate(values):
        try:
            if value is None or len(value) > MAX_VALUE_BYTES or not (value.isascii() or value.decode()):
                continue
            events.append(decode(value))
        except (msgspec.DecodeError, ValueError, OverflowError, RecursionError):
            continue
        numbers.append(number)
        taken.append(value)
    return Sifted(numbers, taken, events)


def _judge_payloads(topic: str, events: Sequence[Any]) -> "tuple[pa.Array, np.ndarray]":
    """Return the type of each event, and whether its payload fits: a value that comes often is judged once."""
    import numpy as np
    import pyarrow as pa

    kinds = _kinds(topic)
    numbers = {kind.model: number for number, kind in enumerate(kinds)}
    of_event = np.array([numbers[type(event)] for event in events], np.int32)
    is_fit = np.ones(len(events), np.bool_)
    for number in set(of_event.tolist()):
        kind, places = kinds[number], np.flatnonzero(of_event == number)
        here = [events[place] for place in places.tolist()]
        payloads = [event.data for event in here]
        is_fit[places] = list(map(eq, map(kind.key, payloads), map(attrgetter("subject"), here)))
        for name, fits in kind.fits:
            column = list(map(attrgetter(name), payloads))
            different = set(column) - {None}
            if not all(map(fits, different)):
                unfit = {each for each in different if not fits(each)}
                is_fit[places[[each in unfit for each in column]]] = False
    return pa.DictionaryArray.from_arrays(of_event, [kind.name for kind in kinds]).cast(pa.string()), is_fit


def _cut_data(values: Sequence[bytes]) -> "tuple[pa.Array, np.ndarray]":
    """Return the bytes of each message's `data`, and whether they are surely that and can be stored as they are.

    They are taken from the first brace within to the last but one. That is right where `"data":` stands before it,
    which in JSON with no unknown key can be no text, and where the message ends with two braces (no other member is an
    object) and no second `data` follows.
    """
    import numpy as np
    import pyarrow as pa

    starts = [value.find(b"{", 1) for value in values]
    pairs = list(zip(values, starts, strict=True))
    is_named = [
        value.endswith(b"}}") and (value.startswith(b'"data":', start - 7) or value.startswith(b'"data": ', start - 8))
        for value, start in pairs
    ]
    data = pa.array([value[start:-1] for value, start in pairs], pa.binary())
    is_strange = find_suspects(pa.array(values, pa.binary()), data, also=SECOND_DATA)
    return data, np.array(is_named, np.bool_) & ~is_strange


def _only(is_kept: "np.ndarray", rows: "pa.Table", numbers: "np.ndarray") -> "tuple[pa.Table, np.ndarray]":
    return (rows, numbers) if is_kept.all() else (rows.filter(is_kept), numbers[is_kept])


def _timed(rows: "pa.Table", places: "pa.Table") -> "pa.Table":
    """Put the places before the rows, and moments and text where there were their bytes; all must be well formed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    logged_at = places["logged_at"]
    claimed = pc.coalesce(rows["recorded_at"].cast(logged_at.type), logged_at)
    columns = {name: rows[name] for name in rows.column_names} | {
        "occurred_at": rows["occurred_at"].cast(logged_at.type),
        "recorded_at": pc.if_else(pc.less(claimed, logged_at), claimed, logged_at),
        "data": rows["data"].cast(pa.string()),
    }
    return pa.table({**{name: places[name] for name in places.column_names}, **columns})


def _true(found: Any, *, null: bool = False) -> "np.ndarray":
    """Return an Arrow array of truth values as numpy's, `null` for null."""
    import numpy as np

    return np.array(found.fill_null(null))


@cache
def _decoder(topic: str) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(Union[tuple(kind.model for kind in _kinds(topic))])  # noqa: UP007 - of as many as there are


@cache
def _kinds(topic: str) -> tuple[Kind, ...]:
    return tuple(_kind(contract) for contract in contracts().values() if contract.topic == topic)


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
    fits: list[tuple[str, Callable[[Any], object]]] = [(name, pattern.search) for name, pattern in patterns.items()]
    fits += [(name, lambda moment: EARLIEST <= moment < LATEST) for name in moment_fields(contract.model)]
    return Kind(contract.name, model, attrgetter(contract.key), tuple(fits))


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
