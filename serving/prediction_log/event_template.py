"""Templates of events. Events of one key result, model and publication differ only in id, time and request.

Control characters mark the places of these in a template. They cannot occur in JSON, which escapes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from ingestion.contract_validation import EncodedEvent
from lakehouse.errors import PermanentError

ID, TIME, ATTRIBUTES = b"\x00", b"\x01", b"\x02"


@dataclass(frozen=True, slots=True, eq=False)
class EventTemplate:
    """An event with the markers ID, TIME and ATTRIBUTES in `value`. `key` is its Kafka key."""

    key: bytes
    value: bytes

    def event(self, event_id: bytes, attributes: bytes = b"") -> bytes:
        """Return the event's JSON. `event_id` is a UUIDv7 of 16 bytes; its time is the event's time.

        The id is both the event's and the prediction's. `attributes` are extension attributes (`attributes_text`).
        """
        value = self.value.replace(ID, id_text(event_id)).replace(TIME, _time_text(event_id))
        return value.replace(ATTRIBUTES, attributes)


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
        if value.count(old.encode()) != 1:
            raise PermanentError(f"Expected {old} once in an event of a served prediction.")
        value = value.replace(old.encode(), new)
    return EventTemplate(event.key, value)


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
