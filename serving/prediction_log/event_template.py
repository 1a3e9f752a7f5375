"""Templates of events that differ only in a few places, to save space in the prediction log.

The places are filled in when an event is sent. Events of one key result, model and publication differ only in id, time
and request. Events of predictions for named features by one version also differ in output and reasons. The control
characters that mark the places cannot occur in JSON, which escapes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from ingestion.contract_validation import EncodedEvent
from lakehouse.errors import PermanentError

ID, TIME, ATTRIBUTES, OUTPUT, REASONS = b"\x00", b"\x01", b"\x02", b"\x03", b"\x04"


@dataclass(frozen=True, slots=True, eq=False)
class EventTemplate:
    """An event with markers in `value`. `key` is its Kafka key, or the marker ID if the event's id is its subject."""

    key: bytes
    value: bytes

    def event(self, event_id: bytes, attributes: bytes = b"") -> bytes:
        """Return the event's JSON. `event_id` is a UUIDv7 of 16 bytes; its time is the event's time.

        The id is both the event's and the prediction's. `attributes` are extension attributes (`attributes_text`).
        """
        value = self.value.replace(ID, id_text(event_id)).replace(TIME, _time_text(event_id))
        return value.replace(ATTRIBUTES, attributes)

    def event_with_output(self, event_id: bytes, output: bytes, reasons: bytes, attributes: bytes) -> bytes:
        """Return the event's JSON with an output and reasons, which are given as JSON."""
        return self.event(event_id, attributes).replace(OUTPUT, output).replace(REASONS, reasons)

    def key_of(self, event_id: bytes) -> bytes:
        """Return the Kafka key of an event."""
        return id_text(event_id) if self.key == ID else self.key


def template_of(event: EncodedEvent, prediction_id: str) -> EventTemplate:
    """Return the template of an `okr.prediction.served` event that has no extension attributes.

    Raises:
        PermanentError: the event does not have exactly one id, time and prediction id, so it cannot become a template.
    """
    envelope = msgspec.json.decode(event.value)
    value = event.value
    for old, new in (
        (f'"id":"{envelope["id"]}"', b'"id":"%b"' % ID),
        (f'"prediction_id":"{prediction_id}"', b'"prediction_id":"%b"' % ID),
        (f'"time":"{envelope["time"]}"', b'"time":"%b"%b' % (TIME, ATTRIBUTES)),
    ):
        value = _replaced(value, old.encode(), new)
    return EventTemplate(event.key, value)


def template_of_features(event: EncodedEvent, prediction_id: str, output: bytes, reasons: bytes) -> EventTemplate:
    """Return the template for predictions from named features, made from the event of one such prediction.

    Raises:
        PermanentError: the event does not have each of these values exactly once.
    """
    template = template_of(event, prediction_id)
    value = template.value
    for old, new in (
        (b'"subject":"%b"' % prediction_id.encode(), b'"subject":"%b"' % ID),
        (b'"subject_id":"%b"' % prediction_id.encode(), b'"subject_id":"%b"' % ID),
        (b'"output":%b' % output, b'"output":%b' % OUTPUT),
        (b'"reasons":%b' % reasons, b'"reasons":%b' % REASONS),
    ):
        value = _replaced(value, old, new)
    return EventTemplate(ID, value)


def _replaced(value: bytes, old: bytes, new: bytes) -> bytes:
    if value.count(old) != 1:
        raise PermanentError(f"Expected {old.decode()} once in an event of a served prediction.")
    return value.replace(old, new)


def id_text(event_id: bytes) -> bytes:
    """Return a UUID of 16 bytes as text."""
    digits = event_id.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}".encode()


def attributes_text(attributes: Mapping[str, str]) -> bytes:
    """Return extension attributes as they appear in an event's JSON, each preceded by a comma."""
    return b"," + msgspec.json.encode(attributes)[1:-1] if attributes else b""


def _time_text(event_id: bytes) -> bytes:
    return _text_of_milliseconds(int.from_bytes(event_id[:6], "big"))


@lru_cache(maxsize=64)  # under load, many events have the same time
def _text_of_milliseconds(time: int) -> bytes:
    seconds, milliseconds = divmod(time, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03}Z".encode()
