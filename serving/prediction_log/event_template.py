"""Events of one key result, model and publication differ only in their id and time, so these two are filled in later.

The control characters that mark the positions cannot occur in JSON, which escapes them.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from ingestion.contract_validation import EncodedEvent
from lakehouse.errors import PermanentError

ID, TIME = b"\x00", b"\x01"


@dataclass(frozen=True, slots=True, eq=False)
class EventTemplate:
    """An event with the markers ID and TIME in `value`. `key` is its Kafka key."""

    key: bytes
    value: bytes

    def event(self, event_id: bytes) -> bytes:
        """Return the event's JSON. `event_id` is a UUIDv7 of 16 bytes; its time is the event's time.

        The id is both the event's and the prediction's.
        """
        return self.value.replace(ID, id_text(event_id)).replace(TIME, _time_text(event_id))


def template_of(event: EncodedEvent, prediction_id: str) -> EventTemplate:
    """Return the template of a `okr.prediction.served` event.

    Raises:
        PermanentError: the event does not have exactly one id, time and prediction id, so it is no template.
    """
    envelope = msgspec.json.decode(event.value)
    value = event.value
    for old, new in (
        (f'"id":"{envelope["id"]}"', b'"id":"%b"' % ID),
        (f'"prediction_id":"{prediction_id}"', b'"prediction_id":"%b"' % ID),
        (f'"time":"{envelope["time"]}"', b'"time":"%b"' % TIME),
    ):
        if value.count(old.encode()) != 1:
            raise PermanentError(f"Expected {old} once in an event of a served prediction.")
        value = value.replace(old.encode(), new)
    return EventTemplate(event.key, value)


def id_text(event_id: bytes) -> bytes:
    """Return a UUID of 16 bytes as text."""
    digits = event_id.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}".encode()


def _time_text(event_id: bytes) -> bytes:
    seconds, milliseconds = divmod(int.from_bytes(event_id[:6], "big"), 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03}Z".encode()
