"""The file format of the prediction log.

A segment consists of a header and frames. Each frame starts with its length and checksum, so a reader recognises a
frame that is still being written or that a killed process or a power cut left incomplete. The rest of the file consists
of zeros, because its space is allocated in advance.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from ingestion.bulk_producer import KeyedMessage
from lakehouse.errors import PermanentError
from serving.prediction_log.event_template import EventTemplate

SUFFIX = ".segment"
MAGIC = b"okrpred1"
HEADER = struct.Struct("<8sQ")  # the magic number, and the position up to which the broker has acknowledged
SHIPPED, SHIPPED_AT = struct.Struct("<Q"), 8
_FRAME = struct.Struct("<II")  # length and CRC-32 of the payload
_TEMPLATE = struct.Struct("<IH")  # the template's number in this segment, and the length of the key
_LENGTH = struct.Struct("<H")  # of a key, or of the extension attributes of a request's events
_USE = struct.Struct("<I16s")  # the template's number, and the event's id

_USE_WITH_OUTPUT = struct.Struct("<I16sHH")  # a use, and the lengths of the extension attributes and of the output

DEFINES, USES, USE_WITH_OUTPUT, EVENT = b"T", b"P", b"S", b"E"
MAX_OUTPUT_BYTES = 65_535


def template_frame(number: int, template: EventTemplate) -> bytes:
    """Return the frame that defines a template, which precedes its first use."""
    return _frame(DEFINES + _TEMPLATE.pack(number, len(template.key)) + template.key + template.value)


def uses_frame(uses: list[tuple[int, bytes]], attributes: bytes) -> bytes:
    """Return the frame of one request's predictions, as pairs of a template's number and an event's id."""
    pairs = b"".join([_USE.pack(number, event_id) for number, event_id in uses])
    return _frame(USES + _LENGTH.pack(len(attributes)) + attributes + pairs)


def use_with_output_frame(number: int, event_id: bytes, output: bytes, reasons: bytes, attributes: bytes) -> bytes:
    """Return the frame of one prediction with its output and reasons, which are not in the template."""
    head = _USE_WITH_OUTPUT.pack(number, event_id, len(attributes), len(output))
    return _frame(b"".join((USE_WITH_OUTPUT, head, attributes, output, reasons)))


def event_frame(key: bytes, value: bytes) -> bytes:
    """Return the frame of a complete event."""
    return _frame(EVENT + _LENGTH.pack(len(key)) + key + value)


def frames(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the payload of each complete frame and its end in `data`. The first incomplete frame ends the iteration."""
    at = 0
    while at + _FRAME.size <= len(data):
        length, checksum = _FRAME.unpack_from(data, at)
        end = at + _FRAME.size + length
        payload = data[at + _FRAME.size : end]
        if length == 0 or end > len(data) or zlib.crc32(payload) != checksum:
            return
        yield payload, end
        at = end


@dataclass
class FrameDecoder:
    """Converts the frames of one segment, in order, to messages."""

    templates: dict[int, EventTemplate] = field(default_factory=dict)

    def of(self, payload: bytes) -> list[KeyedMessage]:
        """Return the messages in a frame. A frame that defines a template contains none.

        Raises:
            PermanentError: the frame is of an unknown kind, or uses an unknown template.
        """
        kind, rest = payload[:1], payload[1:]
        if kind == USES:
            pairs_start = _LENGTH.size + _LENGTH.unpack_from(rest)[0]
            attributes, pairs = rest[_LENGTH.size : pairs_start], rest[pairs_start:]
            try:
                found = [(self.templates[number], event_id) for number, event_id in _USE.iter_unpack(pairs)]
            except KeyError as error:
                raise PermanentError(f"A segment of the prediction log uses the undefined template {error}.") from error
            return [KeyedMessage(template.key, template.event(event_id, attributes)) for template, event_id in found]
        if kind == USE_WITH_OUTPUT:
            return [self._event_with_output(rest)]
        if kind == DEFINES:
            number, length = _TEMPLATE.unpack_from(rest)
            key_end = _TEMPLATE.size + length
            self.templates[number] = EventTemplate(rest[_TEMPLATE.size : key_end], rest[key_end:])
            return []
        if kind == EVENT:
            key_end = _LENGTH.size + _LENGTH.unpack_from(rest)[0]
            return [KeyedMessage(rest[_LENGTH.size : key_end], rest[key_end:])]
        raise PermanentError(f"A segment of the prediction log has a frame of the unknown kind {kind!r}.")

    def _event_with_output(self, rest: bytes) -> KeyedMessage:
        number, event_id, attributes_length, output_length = _USE_WITH_OUTPUT.unpack_from(rest)
        output_at = _USE_WITH_OUTPUT.size + attributes_length
        reasons_at = output_at + output_length
        attributes, output = rest[_USE_WITH_OUTPUT.size : output_at], rest[output_at:reasons_at]
        template = self.templates.get(number)
        if template is None:
            raise PermanentError(f"A segment of the prediction log uses the undefined template {number}.")
        value = template.event_with_output(event_id, output, rest[reasons_at:], attributes)
        return KeyedMessage(template.key_of(event_id), value)


def _frame(payload: bytes) -> bytes:
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload
