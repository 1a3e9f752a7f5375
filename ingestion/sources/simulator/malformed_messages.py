"""Make malformed messages: damaged copies of valid ones, of the kinds that broken clients and networks produce."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from ingestion.contract_validation import EncodedEvent

Malformation = Callable[[EncodedEvent], EncodedEvent]


def malformed(event: EncodedEvent, kind: int) -> EncodedEvent:
    """Return a copy that violates its contract; `kind` modulo `len(MALFORMATIONS)` selects how."""
    return MALFORMATIONS[kind % len(MALFORMATIONS)](event)


def _not_json(event: EncodedEvent) -> EncodedEvent:
    return replace(event, value=b"check-in saved: " + event.value[:40])


def _truncated(event: EncodedEvent) -> EncodedEvent:
    return replace(event, value=event.value[: len(event.value) * 2 // 3])


def _bad_utf8(event: EncodedEvent) -> EncodedEvent:
    return replace(event, value=event.value.replace(b'"source":"', b'"source":"\xff\xfe', 1))


def _empty(event: EncodedEvent) -> EncodedEvent:
    return replace(event, value=b"")


def _other_key(event: EncodedEvent) -> EncodedEvent:
    return replace(event, key=b"not-" + event.key)


def _changed(change: Callable[[dict[str, Any]], None]) -> Malformation:
    def damage(event: EncodedEvent) -> EncodedEvent:
        envelope: dict[str, Any] = msgspec.json.decode(event.value)
        change(envelope)
        return replace(event, value=msgspec.json.encode(envelope))

    return damage


def _without_id(envelope: dict[str, Any]) -> None:
    del envelope["id"]


def _without_data(envelope: dict[str, Any]) -> None:
    envelope["data"] = {}


def _wrong_types(envelope: dict[str, Any]) -> None:
    envelope["data"] = {field: [12, "twelve"] for field in envelope["data"]}


def _unknown_type(envelope: dict[str, Any]) -> None:
    envelope["type"] = "okr.moon_phase.observed.v1"


def _from_the_far_future(envelope: dict[str, Any]) -> None:
    envelope["time"] = "2999-12-31T23:59:59Z"


def _with_a_nul(envelope: dict[str, Any]) -> None:
    envelope["data"]["comment"] = "a\0b"


MALFORMATIONS: tuple[Malformation, ...] = (
    _not_json,
    _truncated,
    _bad_utf8,
    _empty,
    _other_key,
    _changed(_without_id),
    _changed(_without_data),
    _changed(_wrong_types),
    _changed(_unknown_type),
    _changed(_from_the_far_future),
    _changed(_with_a_nul),
)
