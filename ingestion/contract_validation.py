"""Encode events, decode messages, and validate both against their contracts.

Only `decode` rejects messages. In `ingestion.decoding`, `batch_validation` and `event_types` accept whole batches of
events in canonical form by the same rules (a property test compares them) and pass all other messages to `decode`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin
from uuid import UUID

import msgspec

from ingestion.storable_json import check_storable, is_suspect, may_be_deep
from lakehouse.contracts import Contract, Envelope, contract_of, contracts
from lakehouse.contracts.allowed_characters import fault_of_id
from lakehouse.contracts.fields import ADDRESS, NO_SPACE_AT_EITHER_END
from lakehouse.errors import ContractViolation, PermanentError
from lakehouse.ids import uuid7

MAX_VALUE_BYTES = 1_000_000  # the broker's default limit for a message is 1,048,588 bytes
CLOCK_TOLERANCE = timedelta(minutes=10)  # a source's clock may be ahead of the broker's by this much
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_FINER_THAN_MICROSECONDS = re.compile(r"(?<=[.,]\d{6})\d+")
_MAY_BE_FINER = re.compile(rb"\d[.,]\d{7}|\\u")  # a digit may be written as an escape


@dataclass(frozen=True, slots=True)
class EncodedEvent:
    """An event that is ready to send. Kafka keeps events with the same key in order."""

    topic: str
    key: bytes
    value: bytes


class DecodedEvent(msgspec.Struct, frozen=True, gc=False):
    """An event that satisfies its contract: the envelope, the typed payload, and `data` as the original text."""

    envelope: Envelope
    payload: Any
    data: str


def encode(  # noqa: PLR0913 - the attributes of an envelope
    data: msgspec.Struct,
    *,
    at: datetime,
    source: str,
    event_id: UUID | None = None,
    recorded_at: datetime | None = None,
    recorded_assumed: bool = False,
    attributes: Mapping[str, str] | None = None,
) -> EncodedEvent:
    """Encode a payload as CloudEvents JSON for its topic. `at` is the time of the event (timezone-aware).

    `recorded_at` is the time at which the source recorded the event, and `recorded_assumed` says that it is assumed.
    `attributes` are CloudEvents extension attributes, for example `requestid`.

    Raises:
        ContractViolation: the payload violates its contract, so the source must not send it.
    """
    contract = _contract_of_model(type(data))
    envelope: dict[str, object] = {
        "type": contract.name,  # first, so that `ingestion.decoding` can select the type without reading ahead
        "specversion": "1.0",
        "id": event_id or uuid7(),
        "source": source,
        "subject": getattr(data, contract.key),
        "time": at,
    }
    if recorded_at is not None:
        envelope["recordedtime"] = recorded_at
    if recorded_assumed:
        envelope["recordedassumed"] = True
    envelope.update(attributes or {})
    envelope["data"] = data
    try:
        value = msgspec.json.encode(envelope)
    except UnicodeEncodeError as error:
        raise ContractViolation("lone_surrogate", f"{contract.name}: text contains a lone surrogate.") from error
    decode(contract.topic, value)
    return EncodedEvent(contract.topic, str(envelope["subject"]).encode(), value)


def decode(
    topic: str,
    value: bytes | None,
    key: bytes | None = None,
    logged_at: datetime | None = None,
) -> DecodedEvent:
    """Decode and validate a message of `topic` with its Kafka key; `logged_at` is its log time, if known.

    Raises:
        ContractViolation: the message breaks its contract. `reason` is a stable code: null_value, too_large, not_utf8,
            not_json, bad_envelope, unknown_type, wrong_topic, bad_data, bad_id, subject_mismatch, key_mismatch,
            time_in_future, time_out_of_range, or a code from `ingestion.storable_json`.
    """
    if value is None:
        raise ContractViolation("null_value", "The message has no value; expected a CloudEvents JSON document.")
    if len(value) > MAX_VALUE_BYTES:
        raise ContractViolation(
            "too_large", f"The message has {len(value)} bytes; at most {MAX_VALUE_BYTES} are accepted."
        )
    try:
        value.decode()
    except UnicodeDecodeError as error:
        raise ContractViolation(
            "not_utf8", f"The message is not UTF-8: {error.reason} at byte {error.start}."
        ) from error
    try:
        envelope = _decode_envelope(value)
    except ContractViolation:
        if b"\\u" in value or may_be_deep(value):  # lone surrogates and excessive nesting have their own reasons
            check_storable(value)
        raise
    if is_suspect(value):
        check_storable(value)
    contract = contract_of(envelope.type)
    if contract.topic != topic:
        raise ContractViolation(
            "wrong_topic", f"{contract.name} belongs to {contract.topic}, but was received on {topic}."
        )
    payload = _decode_payload(contract, envelope)
    _check_subject_and_key(contract, envelope, payload, key)
    _check_ids(contract, payload)
    _check_times(contract, envelope, payload, logged_at)
    return DecodedEvent(envelope, payload, str(memoryview(envelope.data), "utf-8"))


def extensions_of(value: bytes) -> str | None:
    """Return the unknown attributes of an envelope as a JSON object, or None if it has none.

    CloudEvents allows any extension attribute (`traceparent`, `partitionkey`). `value` is a message that `decode`
    accepted.
    """
    members = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
    others = {name: raw for name, raw in members.items() if name not in Envelope.__struct_fields__}
    return msgspec.json.encode(others).decode() if others else None


def _decode_envelope(value: bytes) -> Envelope:
    try:
        envelope = _envelope_decoder().decode(value)
        return _truncate_to_microseconds(envelope, value) if _MAY_BE_FINER.search(value) else envelope
    except msgspec.ValidationError as error:
        raise ContractViolation("bad_envelope", f"Not the envelope of an event: {error}.") from error
    except RecursionError as error:
        raise ContractViolation("too_deep", "JSON is nested too deeply.") from error
    except msgspec.DecodeError as error:
        raise ContractViolation("not_json", f"Expected JSON: {error}.") from error


def _truncate_to_microseconds(envelope: Envelope, value: bytes) -> Envelope:
    """Truncate times to microseconds. msgspec rounds them, which can move a time into the next day or cycle."""
    members = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
    times = {name: members[name] for name in ("time", "recordedtime") if name in members}
    texts = {name: msgspec.json.decode(raw) for name, raw in times.items()}
    truncated = {
        name: msgspec.convert(_FINER_THAN_MICROSECONDS.sub("", text), datetime)
        for name, text in texts.items()
        if isinstance(text, str)
    }
    return msgspec.structs.replace(envelope, **truncated)


def _decode_payload(contract: Contract, envelope: Envelope) -> Any:
    try:
        return _payload_decoder(contract.model).decode(envelope.data)
    except (msgspec.DecodeError, OverflowError) as error:
        raise ContractViolation("bad_data", f"{contract.name}: {error}.") from error


def _check_subject_and_key(contract: Contract, envelope: Envelope, payload: Any, key: bytes | None) -> None:
    expected = getattr(payload, contract.key)
    if envelope.subject != expected:
        message = f"{contract.name}: expected subject to equal {contract.key} {expected!r}, got {envelope.subject!r}."
        raise ContractViolation("subject_mismatch", message)
    if key is not None and key != expected.encode():
        message = f"{contract.name}: expected the Kafka key {expected!r}, got {key[:100]!r}."
        raise ContractViolation("key_mismatch", message)


def _check_ids(contract: Contract, payload: Any) -> None:
    """Check that ids contain no invisible characters, because ids that look the same must be equal.

    The schemas cannot express this rule: a pattern must not become stricter within a major version, and no pattern
    covers Unicode normal forms.
    """
    for field in id_fields(contract.model):
        text = getattr(payload, field)
        if text is not None and (fault := fault_of_id(text)):
            raise ContractViolation("bad_id", f"{contract.name}: {field} {text[:128]!r} {fault}.")


def _check_times(contract: Contract, envelope: Envelope, payload: Any, logged_at: datetime | None) -> None:
    if logged_at is not None and envelope.time > logged_at + CLOCK_TOLERANCE:
        message = (
            f"{contract.name}: the event time {envelope.time} is more than {CLOCK_TOLERANCE.seconds // 60} minutes "
            f"later than the broker's time {logged_at}."
        )
        raise ContractViolation("time_in_future", message)
    times = [envelope.time, envelope.recordedtime or envelope.time]
    times += [getattr(payload, field) for field in moment_fields(contract.model)]
    for time in times:
        if not EARLIEST <= time < LATEST:
            raise ContractViolation("time_out_of_range", f"{contract.name}: {time} is not between 1970 and 2200.")


@cache
def _envelope_decoder() -> msgspec.json.Decoder[Envelope]:
    return msgspec.json.Decoder(Envelope)


@cache
def _payload_decoder(model: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(model)


@cache
def id_fields(model: type[msgspec.Struct]) -> tuple[str, ...]:
    """Return the fields of a payload that are ids or e-mail addresses."""
    return tuple(field.name for field in msgspec.structs.fields(model) if _identifies(field.type))


def _identifies(hint: Any) -> bool:
    metas = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    if any(isinstance(meta, msgspec.Meta) and meta.pattern in (NO_SPACE_AT_EITHER_END, ADDRESS) for meta in metas):
        return True
    return get_origin(hint) in (Union, UnionType) and any(map(_identifies, get_args(hint)))


@cache
def moment_fields(model: type[msgspec.Struct]) -> tuple[str, ...]:
    """Return the fields of a payload whose type is a time that is never null. Their range is checked."""
    info = msgspec.inspect.type_info(model)
    fields = info.fields if isinstance(info, msgspec.inspect.StructType) else ()
    return tuple(field.name for field in fields if isinstance(field.type, msgspec.inspect.DateTimeType))


@cache
def _contract_of_model(model: type[msgspec.Struct]) -> Contract:
    for contract in contracts().values():
        if contract.model is model:
            return contract
    raise PermanentError(
        f"{model.__name__} is not the model of an event type; expected one of: {', '.join(contracts())}."
    )
