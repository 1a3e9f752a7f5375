"""Render a log record as one line of JSON, or clean it for people at a terminal. Neither ever raises."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from structlog.typing import EventDict, WrappedLogger

from lakehouse.log_records.redaction import Redactor, safe_text
from lakehouse.log_records.schema import (
    MAX_VALUE_LENGTH,
    host_name,
    level_of,
    service_name,
    trace_id_of,
)

_encoder = msgspec.json.Encoder(enc_hook=safe_text)
_format_exception = structlog.processors.ExceptionRenderer()
# Terminals execute these: colours, titles, and on some even commands. A line break would forge another line.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class JsonRenderer:
    """The last processor of structlog: renders a record in the schema, without secrets."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._service, self._host = service_name(), host_name()

    def __call__(self, logger: WrappedLogger, method: str, values: EventDict) -> bytes:
        """Return one line without its line break."""
        values = _format_exception(logger, method, values)
        return self.line(datetime.now(UTC), level_of(method) or "INFO", dict(values))

    def line(self, time: datetime, level: str, values: dict[str, Any]) -> bytes:
        """Return the line of a record; `values` includes its event and its module."""
        record = {
            "time": time, "level": level, "event": safe_text(values.pop("event", "")), "service": self._service,
            "host": self._host, "module": values.pop("module", None) or "unknown",
        }  # fmt: skip
        if not values.keys().isdisjoint(record):
            values = {f"{name}_" if name in record else name: value for name, value in values.items()}
        record.update(values)
        if "traceparent" in record:
            record["trace_id"] = trace_id_of(str(record.pop("traceparent")))
        rendered = encode(record)
        if len(rendered) > MAX_VALUE_LENGTH:
            rendered = encode(record := {name: _cut(value) for name, value in record.items()})
        if self._redactor.is_suspicious(rendered):
            return encode({"time": record.pop("time"), **self._redactor.record(record)})
        return rendered


def encode(record: Mapping[str, Any]) -> bytes:
    """Return a record as JSON in one line, whatever its values are."""
    try:
        return _encoder.encode(record)
    except Exception:
        plain = {str(name): _plain(value) for name, value in record.items()}
        return json.dumps(plain | {"time": _encoder.encode(record.get("time")).decode().strip('"')}).encode()


def escape_control(text: str) -> str:
    r"""Return text in which control characters are visible, such as \n and \x1b."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def clean_text(redactor: Redactor) -> structlog.typing.Processor:
    """Return a processor for people's terminals: it redacts, and escapes control characters in the event."""

    def clean(logger: WrappedLogger, method: str, values: EventDict) -> EventDict:
        values = {name: value if name == "exc_info" else redactor.record({name: value})[name] for name, value in
                  values.items()}  # fmt: skip
        values["event"] = escape_control(safe_text(values.get("event", "")))
        return values

    return clean


def _plain(value: Any) -> Any:
    try:
        return json.loads(json.dumps(value, default=safe_text, allow_nan=False))
    except Exception:
        return safe_text(value)


def _cut(value: Any) -> Any:
    if not isinstance(value, (str, bool, int, float, datetime, type(None))):
        value = safe_text(value)
    if isinstance(value, str) and len(value) > MAX_VALUE_LENGTH:
        # Both ends: the last line of a traceback names the error.
        half = MAX_VALUE_LENGTH // 2
        return f"{value[:half]} ... {len(value) - 2 * half} characters left out ... {value[-half:]}"
    return value
